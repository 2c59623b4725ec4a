/** The command line as commander sees it: commands, options and their help. */

import { failure } from '@open-claw/core/internal';
import { Command, type CommanderError, Option } from 'commander';
import { ownVersion } from '../version.js';
import { bench } from './commands/bench.js';
import { check } from './commands/check.js';
import { compileModel } from './commands/compile.js';
import { conform } from './commands/conform.js';
import { devices } from './commands/devices.js';
import { explain } from './commands/explain.js';
import { inspect } from './commands/inspect.js';
import { run } from './commands/run.js';
import { tuneModel } from './commands/tune.js';
import type { Context } from './context.js';
import { type GivenOptions, parseCommon, usage } from './options.js';
import type { CommandResult } from './result.js';
import { fill, type TextKey, type Texts } from './text.js';

/** Runs one command and prints its result. */
export type Perform = (
  name: string,
  given: GivenOptions,
  work: () => Promise<CommandResult>,
) => Promise<void>;

const reserved = ['bisect', 'serve', 'new-device'];

const collect = (value: string, before: readonly string[] = []): readonly string[] => [
  ...before,
  value,
];

export function buildProgram(context: Context, perform: Perform): Command {
  const { texts } = context;
  const program = new Command('claw').description(texts.program);
  prepare(program, context);
  program.version(ownVersion(), '-V, --version', texts.optionVersion);

  const add = (
    name: string,
    argument: string | undefined,
    options: readonly Option[],
    work: (models: readonly string[], given: GivenOptions) => Promise<CommandResult>,
  ): Command => {
    const command = program.command(name).description(texts[name as TextKey]);
    prepare(command, context);
    if (argument !== undefined) command.argument(argument, texts.model);
    for (const option of [...options, ...commonOptions(texts)]) command.addOption(option);
    command.action(async (...all: unknown[]) => {
      const given = command.opts<GivenOptions>();
      const models = argument === undefined ? [] : [all[0]].flat().map(String);
      await perform(name, given, () => work(models, given));
    });
    return command;
  };
  const common = (given: GivenOptions) => parseCommon(given, texts);
  const first = ([model = '']: readonly string[]): string => model;
  const inputs = [
    repeated('--input <NAME=FILE>', texts.optionInput),
    new Option('--random <SEED>', texts.optionRandom),
  ];
  const target = new Option('--target <T>', texts.optionTarget);

  const traces = [
    new Option('--trace <FILE>', texts.optionTraceDrivers),
    new Option('--replay <FILE>', texts.optionReplay),
  ];
  add('devices', undefined, traces, (_, given) => devices(given, common(given), context));
  add('inspect', '<MODEL>', [], (m, given) => inspect(first(m), common(given), context));
  add('check', '<MODEL>', [target], (m, given) => check(first(m), given, common(given), context));
  const runOptions = [...inputs, new Option('--out <DIR>', texts.optionOut), threads(texts)];
  add('run', '<MODEL>', runOptions, (m, given) =>
    run(first(m), given, common(given), context),
  ).addHelpText('after', `\n${texts.inputHelp}`);
  const stage = new Option('--stage <STAGE>', texts.optionStage);
  add('explain', '<MODEL>', [stage, target], (m, given) =>
    explain(first(m), given, common(given), context),
  );
  const benchOptions = [
    ...inputs,
    threads(texts),
    new Option('--runs <N>', texts.optionRuns),
    new Option('--against <ENGINE>', texts.optionAgainst),
    new Option('--trace <FILE>', texts.optionTrace),
  ];
  add('bench', '<MODEL...>', benchOptions, (m, given) => bench(m, given, common(given), context));
  const tuned = new Option('-o, --output <FILE>', texts.optionTuned);
  add('tune', '<MODEL>', [...inputs, threads(texts), tuned], (m, given) =>
    tuneModel(first(m), given, common(given), context),
  );
  const output = new Option('-o, --output <BUNDLE>', texts.optionOutput);
  add('compile', '<MODEL>', [target, output], (m, given) =>
    compileModel(first(m), given, common(given), context),
  );
  const conformOptions = [
    new Option('--onnx <PATH>', texts.optionOnnx),
    new Option('--filter <RE>', texts.optionFilter),
    threads(texts),
  ];
  add('conform', undefined, conformOptions, (_, given) => conform(given, common(given), context));
  for (const name of reserved) addReserved(program, name, context, perform);
  return program;
}

const repeated = (flags: string, text: string): Option =>
  new Option(flags, text).argParser(collect);

const threads = (texts: Texts): Option => new Option('--threads <N>', texts.optionThreads);

const commonOptions = (texts: Texts): readonly Option[] => [
  new Option('--device <ID[,ID…]>', texts.optionDevice),
  repeated('--plugin <PATH|PACKAGE>', texts.optionPlugin),
  new Option('--precision <P>', texts.optionPrecision),
  new Option('--level <L>', texts.optionLevel),
  repeated('--size <NAME=NUMBER>', texts.optionSize),
  new Option('--memory <BYTES>', texts.optionMemory),
  new Option('--time-limit <TIME>', texts.optionTimeLimit),
  new Option('--tuning <FILE>', texts.optionTuning),
  new Option('--json [FILE]', texts.optionJson),
];

/** Settings that commander keeps per command. */
function prepare(command: Command, { texts, out }: Context): void {
  const titles: Readonly<Record<string, string>> = {
    'Usage:': texts.titleUsage,
    'Options:': texts.titleOptions,
    'Commands:': texts.titleCommands,
    'Arguments:': texts.titleArguments,
  };
  command
    .helpOption('-h, --help', texts.optionHelp)
    .helpCommand(false)
    .showSuggestionAfterError(false)
    .exitOverride()
    .configureOutput({ writeOut: out, writeErr: () => {}, outputError: () => {} })
    .configureHelp({ styleTitle: (title) => titles[title] ?? title });
}

function addReserved(program: Command, name: string, context: Context, perform: Perform): void {
  const command = program.command(name, { hidden: true }).description(context.texts.reserved);
  prepare(command, context);
  command.allowUnknownOption().allowExcessArguments();
  command.addOption(new Option('--json [FILE]', context.texts.optionJson));
  command.action(() =>
    perform(name, command.opts<GivenOptions>(), async () => {
      throw failure('OC-USAGE-02', { command: name }, { kind: 'unavailable' });
    }),
  );
}

/** Commander's own complaints in our words; undefined where it only printed help. */
export function usageError(error: CommanderError, texts: Texts): Error | undefined {
  const name = /'([^']*)'/.exec(error.message)?.[1] ?? '';
  switch (error.code) {
    case 'commander.helpDisplayed':
    case 'commander.help':
    case 'commander.version':
      return undefined;
    case 'commander.unknownOption':
      return usage(fill(texts.unknownOption, { name }));
    case 'commander.unknownCommand':
      return usage(fill(texts.unknownCommand, { name }));
    case 'commander.missingArgument':
      return usage(fill(texts.missingArgument, { name }));
    case 'commander.optionMissingArgument':
      return usage(fill(texts.missingValue, { name }));
    case 'commander.excessArguments':
      return usage(texts.excessArguments);
    default:
      return usage(error.message);
  }
}
