/** What the demonstration says, in both languages. */
import type { TextLanguage } from '../environment.js';

const english = {
  title: 'OpenCLAW draws digits, learns to read them, and reads them on every device here.',
  drawn: 'drawings like these, none from a file:',
  device: 'training on {device}: {model}, {driver}; evidence: {evidence}',
  interpreter: 'training on the interpreter, because CLAW_DEVICE says so; this is slow',
  sizes: '{train} drawings to learn from, {test} others to be tested on; {count} numbers to learn',
  progress: 'step {step} of {steps}: loss {loss}',
  bar: 'learning {bar} {percentage} %, loss {loss}',
  learned: '{accuracy} % of the unseen drawings read correctly after {seconds} s of training',
  compare: 'the same network on every device, {count} unseen drawings:',
  head: ['device', 'what it is', 'evidence', 'largest difference', 'same answers', 'time'],
  reference: 'plain loops, the definition of every operation',
  referenceEvidence: 'reference',
  missing: 'not here: {device}: {reason}; to get it: {fix}',
  failed: 'failed: {reason}',
  evidence: {
    hardware: 'hardware',
    emulator: 'emulator',
    stub: 'stub (pretends)',
    none: 'none',
  },
  note: 'largest difference: of the ten scores, from the interpreter; time: of the second run',
  next: [
    'npx claw devices                     what is here, what is not, and how to get it',
    'npx claw run MODEL.onnx --random 1   your own model, on the fastest device found',
    'node examples/train-mlp.mjs          a training loop in 30 lines to change',
  ],
  nextTitle: 'next:',
};

export type DemoTexts = typeof english;

const chinese: DemoTexts = {
  title: 'OpenCLAW 自己画数字，学会识别它们，并在本机的每个设备上识别。',
  drawn: '画出来的数字如下，不取自任何文件：',
  device: '在 {device} 上训练：{model}，{driver}；依据：{evidence}',
  interpreter: '按 CLAW_DEVICE 的要求在解释器上训练；速度很慢',
  sizes: '用 {train} 幅图学习，用另外 {test} 幅图测试；要学习 {count} 个数',
  progress: '第 {step} 步，共 {steps} 步：损失 {loss}',
  bar: '学习中 {bar} {percentage} %，损失 {loss}',
  learned: '训练 {seconds} 秒后，未见过的图有 {accuracy} % 识别正确',
  compare: '同一网络在每个设备上识别 {count} 幅未见过的图：',
  head: ['设备', '是什么', '依据', '最大差异', '相同答案', '时间'],
  reference: '普通循环，每个算子的定义',
  referenceEvidence: '参考',
  missing: '本机没有：{device}：{reason}；获得方法：{fix}',
  failed: '失败：{reason}',
  evidence: { hardware: '硬件', emulator: '模拟器', stub: '替身（假装）', none: '无' },
  note: '最大差异：十个得分与解释器相比；时间：第二次运行',
  next: [
    'npx claw devices                     本机有什么设备，没有什么，怎样获得',
    'npx claw run MODEL.onnx --random 1   在找到的最快设备上运行自己的模型',
    'node examples/train-mlp.mjs          三十行的训练循环，可以随意修改',
  ],
  nextTitle: '接下来可以试：',
};

export const demoTexts = (language: TextLanguage): DemoTexts =>
  language === 'zh' ? chinese : english;

/** Replaces `{name}` marks; marks without a value stay, for progress bars. */
export const fillText = (text: string, values: Readonly<Record<string, string | number>>): string =>
  text.replace(/\{(\w+)\}/g, (mark, name: string) => String(values[name] ?? mark));
