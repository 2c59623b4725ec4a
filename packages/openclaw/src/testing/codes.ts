/** Codes of failures, for tests. */
import { isFailure } from '@open-claw/core/face';

/** The code that work rejects with; the error as text where it has none. */
export async function codeOf(work: Promise<unknown>): Promise<string> {
  try {
    await work;
  } catch (error) {
    return isFailure(error) ? error.code : String(error);
  }
  return 'no failure';
}
