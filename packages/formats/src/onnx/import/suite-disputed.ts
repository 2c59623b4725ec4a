/** Cases whose stored answer contradicts the specification, each with the proof. */
export const disputedCases: Readonly<Record<string, string>> = {};
