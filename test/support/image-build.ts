/** Does what a Dockerfile says in a folder that stands for each stage's root, where no container engine runs. */
import { spawnSync } from 'node:child_process';
import fs from 'node:fs';
import path from 'node:path';

interface Instruction {
  name: string;
  rest: string;
}

export interface Stage {
  /** Stands for `/`. */
  root: string;
  workdir: string;
  env: Record<string, string>;
  user: string | undefined;
  command: string[];
  healthcheck: { options: Record<string, string>; command: string[] } | undefined;
  stopSignal: NodeJS.Signals | undefined;
  exposed: number[];
  base: string;
  /** An absolute path of the image as it is here; text with such paths likewise. */
  here(text: string): string;
}

/** Absolute paths that a stage may name: they are put below its root wherever they stand in a word. */
const IMAGE_PATHS = /(?<![\w./-])\/(signet|image|var\/lib\/signet|usr\/local)(?=[/\s"':;,)]|$)/g;

export function parseDockerfile(text: string): Instruction[] {
  const lines = text.split('\n').filter((line) => !/^\s*#/.test(line) && line.trim() !== '');
  const joined = lines.join('\n').replaceAll(/\\\n\s*/g, ' ').split('\n');
  return joined.map((line) => {
    const [, name = '', rest = ''] = /^([A-Z]+)\s+(.*)$/.exec(line.trim()) ?? [];
    if (name === '') throw new Error(`not an instruction: ${line}`);
    return { name, rest };
  });
}

/** Builds every stage below `folder` from the files of `context`; the last one is the image. `env`: what commands get besides, such as PATH. */
export function buildImage({ dockerfile, context, folder, env }: { dockerfile: string; context: string; folder: string; env: Record<string, string> }): Stage {
  const stages = new Map<string, Stage>();
  const args: Record<string, string> = {};
  let stage: Stage | undefined;
  const expand = (text: string) => text.replaceAll(/\$\{(\w+)\}/g, (_, name: string) => args[name] ?? '');
  for (const { name, rest } of parseDockerfile(dockerfile)) {
    if (name === 'ARG') {
      const [key = '', value = ''] = rest.split('=');
      args[key] = value;
    } else if (name === 'FROM') {
      const [base = '', , alias] = expand(rest).split(/\s+/);
      stage = startStage(path.join(folder, `stage-${stages.size}`), base);
      stages.set(alias ?? 'image', stage);
    } else if (stage === undefined) {
      throw new Error(`${name} before FROM`);
    } else {
      const follow = INSTRUCTIONS[name];
      if (!follow) throw new Error(`the test does not know the instruction ${name}`);
      follow(stage, rest, { stages, context, env });
    }
  }
  const image = stages.get('image');
  if (!image) throw new Error('no last stage');
  return image;
}

function startStage(root: string, base: string): Stage {
  fs.mkdirSync(path.join(root, 'usr/local/bin'), { recursive: true });
  fs.mkdirSync(path.join(root, 'usr/local/lib/node_modules/npm'), { recursive: true });
  // The base image brings Node.
  fs.copyFileSync(process.execPath, path.join(root, 'usr/local/bin/node'));
  return {
    root, base, workdir: '/', env: {}, user: undefined, command: [], healthcheck: undefined, stopSignal: undefined, exposed: [],
    here: (text) => text.replaceAll(IMAGE_PATHS, (found) => root + found),
  };
}

interface Building {
  stages: ReadonlyMap<string, Stage>;
  context: string;
  env: Record<string, string>;
}

const INSTRUCTIONS: Readonly<Record<string, (stage: Stage, rest: string, building: Building) => void>> = {
  WORKDIR(stage, rest) {
    stage.workdir = rest;
    fs.mkdirSync(stage.here(rest), { recursive: true });
  },
  ENV(stage, rest) {
    for (const [, key = '', value = ''] of rest.matchAll(/(\w+)=(\S+)/g)) stage.env[key] = value;
  },
  COPY(stage, rest, { stages, context }) {
    const [, from] = /^--from=(\S+)\s/.exec(rest) ?? [];
    const words = rest.replace(/^--\S+\s+/, '').split(/\s+/);
    const target = path.resolve(stage.here(stage.workdir), stage.here(words.at(-1) ?? '.'));
    const source = from === undefined ? undefined : stages.get(from);
    for (const word of words.slice(0, -1)) {
      if (source) fs.cpSync(source.here(word), target, { recursive: true, verbatimSymlinks: true });
      else copyContext(context, word, target, words.length > 2);
    }
  },
  RUN(stage, rest, { env }) {
    // Only root may give files away; for anybody else they are the runner's own.
    const command = process.getuid?.() === 0 ? rest : rest.replaceAll(/chown \S+ (\S+)/g, 'test -e $1');
    const ran = spawnSync('sh', ['-ec', stage.here(command)], { cwd: stage.here(stage.workdir), env: { ...env, ...hereAll(stage), PATH: `${stage.root}/usr/local/bin:${env.PATH ?? ''}` }, encoding: 'utf8' });
    if (ran.status !== 0) throw new Error(`RUN ${rest}\nended with ${ran.status ?? ran.signal}:\n${ran.stdout}${ran.stderr}`);
  },
  USER: (stage, rest) => void (stage.user = rest),
  VOLUME: () => undefined,
  EXPOSE: (stage, rest) => void stage.exposed.push(...rest.split(/\s+/).map(Number)),
  STOPSIGNAL: (stage, rest) => void (stage.stopSignal = rest as NodeJS.Signals),
  CMD: (stage, rest) => void (stage.command = JSON.parse(rest) as string[]),
  HEALTHCHECK(stage, rest) {
    const [, options = '', command = ''] = /^(.*?)CMD (\[.*\])$/.exec(rest) ?? [];
    stage.healthcheck = { options: Object.fromEntries([...options.matchAll(/--([\w-]+)=(\S+)/g)].map(([, key = '', value = '']) => [key, value])), command: JSON.parse(command) as string[] };
  },
};

/** Environment of a stage with its paths as they are here. */
export const hereAll = (stage: Stage): Record<string, string> => Object.fromEntries(Object.entries(stage.env).map(([key, value]) => [key, stage.here(value)]));

function copyContext(context: string, word: string, target: string, intoFolder: boolean): void {
  const ignored = fs.readFileSync(path.join(context, '.dockerignore'), 'utf8').split('\n').filter((line) => line !== '').map((pattern) => new RegExp(`^${pattern.replaceAll('.', '\\.').replaceAll('*', '[^/]*')}(/|$)`));
  const source = path.join(context, word);
  const filter = (file: string) => !ignored.some((pattern) => pattern.test(path.relative(context, file)));
  fs.cpSync(source, intoFolder ? path.join(target, word) : target, { recursive: true, filter });
}
