import { createLogger } from '../core/log.ts';
import { loadConfig } from '../config/load.ts';
import type { CliIo } from '../cli/command.ts';
import type { LocalContext } from './local-command.ts';

export function localContext(io: CliIo, json: boolean): LocalContext {
  return {
    io,
    json,
    config: () => loadConfig(io.env),
    log: createLogger('warn', { write: (line: string) => void io.err.write(line) }),
    show: (record, text) => void io.out.write(json ? `${JSON.stringify(record)}\n` : text),
  };
}
