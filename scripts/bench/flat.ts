/** Status and OCSP over more and more certificates: what an answer costs must not depend on how many there are. */
import type { X509Certificate } from 'node:crypto';
import type { Figures } from './measure.ts';
import { askAboutNothing, ocsp, serialsOfOcsp } from './ocsp.ts';
import type { Sizes, Stage } from './stage.ts';
import { serialsOfStatus, status } from './status.ts';

/** How many certificates there are when it is measured first, and at the least in the end. */
const FEW = 10_000;
const MANY = 100_000;
const MILLION = 1_000_000;
const WARM_UP = 10_000;
/** The same at each step, each about certificates never asked about before; all of them fit into the few. */
const ASKED: Partial<Sizes> = { statusWarmUp: 1_000, ocspCold: 1_500, ocspKnown: 1_536, ocspHalf: 0, status: 2_000, statusBatches: 10 };

/** CPU µs of an answer, service and PostgreSQL together. */
export interface FlatStep {
  certificates: number;
  micros: Record<string, number>;
  /** Mean of the phases, to tell a slower hour of the machine from a slower answer. */
  floor: number;
}

/** Asks over FEW certificates, over a million where there will be more, and over as many as the run is to have, at least MANY. */
export async function flat(stage: Stage, like: { issuer: X509Certificate; issuerId: string; der: Buffer }): Promise<FlatStep[]> {
  const asking: Stage = { ...stage, sizes: { ...stage.sizes, ...ASKED } };
  const all = Math.max(MANY, stage.sizes.certificates);
  const byStatus = serialsOfStatus(asking.sizes);
  const steps: FlatStep[] = [];
  let there = 0;
  for (const certificates of all > MILLION ? [FEW, MILLION, all] : [FEW, all]) {
    const serials = await stage.database.insertCertificates({ count: certificates - there, revoked: 0, keep: byStatus + serialsOfOcsp(asking.sizes) }, like);
    there = certificates;
    await stage.database.settle('certificates');
    // Otherwise the first step is dearer for being the first.
    if (steps.length === 0) await askAboutNothing(stage, like.issuer, WARM_UP, serials[0] as Buffer);
    const answers = await ocsp(asking, { issuer: like.issuer, serials: serials.slice(byStatus) });
    const { 'single cold': cold, 'single warm': warm } = await status(asking, serials.slice(0, byStatus));
    const phases = { 'OCSP cold': [answers['cold post'], answers['cold get']], 'OCSP warm': [answers['warm post'], answers['warm get']], 'status cold': [cold], 'status warm': [warm] };
    const measured = Object.entries(phases).map(([name, figures]) => [name, figures.filter((one) => one !== undefined)] as const);
    steps.push({
      certificates,
      micros: Object.fromEntries(measured.map(([name, figures]) => [name, mean(figures, ({ cpu }) => cpu.service + cpu.postgres)])),
      floor: mean(measured.flatMap(([, figures]) => figures), ({ floor }) => floor),
    });
  }
  return steps;
}

const mean = (figures: readonly Figures[], of: (figures: Figures) => number): number => figures.reduce((sum, one) => sum + of(one), 0) / figures.length;
