/** The page, the dashboard and the alert rules name only metrics and labels that exist, and the page names every one of Signet's. */
import { readFileSync } from 'node:fs';
import { expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/core/metrics.ts';

interface Described {
  name: string;
  type: string;
  labels: readonly string[];
}

const registry = createMetrics({ processMetrics: true }).registry;
/** prom-client keeps these fields on every metric, though its types do not say so. */
const known = new Map(
  (registry.getMetricsAsArray() as unknown as { name: string; labelNames: string[]; constructor: { name: string } }[]).map((metric): [string, Described] => [
    metric.name,
    { name: metric.name, type: metric.constructor.name.toLowerCase(), labels: metric.labelNames },
  ]),
);

const page: Described[] = readFileSync('docs/metrics.md', 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| `'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, name = '', type = '', labels = '']) => ({ name: name.replaceAll('`', ''), type, labels: labels === '' ? [] : labels.split(', ') }));

test('docs/metrics.md tells name, type and labels of every metric of ours, and of no other', () => {
  for (const row of page) expect(row).toEqual(known.get(row.name));
  const ours = [...known.keys()].filter((name) => name.startsWith('signet_'));
  expect(page.map(({ name }) => name).filter((name) => name.startsWith('signet_')).toSorted()).toEqual(ours.toSorted());
});

/** Labels that Prometheus itself adds to what it scrapes, and ours where there are several workers. */
const TARGET_LABELS = ['instance', 'job', 'worker'];
const SUFFIX = /_(bucket|sum|count)$/;

/** What is wrong with the metrics and labels an expression names. */
function faultsOf(expression: string): string[] {
  const faults: string[] = [];
  const names: string[] = [];
  const withoutText = expression.replaceAll(/"[^"]*"/g, '""');
  for (const [, name = '', , matchers = ''] of withoutText.matchAll(/\b((?:signet|process|nodejs)_[a-z0-9_]+)\b(\{([^}]*)\})?/g)) {
    const metric = known.get(name) ?? (known.get(name.replace(SUFFIX, ''))?.type === 'histogram' ? known.get(name.replace(SUFFIX, '')) : undefined);
    if (metric === undefined) {
      faults.push(`there is no metric ${name}`);
      continue;
    }
    names.push(metric.name);
    for (const matcher of matchers.split(',').filter((text) => text !== '')) {
      const label = /^\s*([a-z_]+)\s*[=!]/.exec(matcher)?.[1] ?? matcher;
      if (![...metric.labels, ...TARGET_LABELS].includes(label)) faults.push(`${metric.name} has no label ${label}`);
    }
  }
  for (const [, labels = ''] of withoutText.matchAll(/\b(?:by|without)\s*\(([^)]*)\)/g)) {
    for (const label of labels.split(',').map((text) => text.trim())) {
      const isKnown = names.some((name) => known.get(name)?.labels.includes(label) || (label === 'le' && known.get(name)?.type === 'histogram'));
      if (!isKnown && !TARGET_LABELS.includes(label)) faults.push(`none of ${names.join(', ')} has the label ${label}`);
    }
  }
  return names.length === 0 && !/\bup\b/.test(expression) ? [...faults, 'it names no metric'] : faults;
}

test('an expression with a wrong metric or label is found', () => {
  expect(faultsOf('rate(signet_nothing_total[5m])')).toEqual(['there is no metric signet_nothing_total', 'it names no metric']);
  expect(faultsOf('sum by (shape) (signet_connections_open{door="api",colour="red"})')).toEqual(['signet_connections_open has no label colour', 'none of signet_connections_open has the label shape']);
  expect(faultsOf('signet_commit_queue_length_bucket')).toContain('there is no metric signet_commit_queue_length_bucket');
  expect(faultsOf('histogram_quantile(0.9, sum by (le, route) (rate(signet_http_request_duration_seconds_bucket[5m])))')).toEqual([]);
});

interface Panel {
  type: string;
  title: string;
  targets?: { expr: string }[];
}

test('deploy/grafana/signet.json: every panel asks for what there is', () => {
  const { panels, templating } = JSON.parse(readFileSync('deploy/grafana/signet.json', 'utf8')) as { panels: Panel[]; templating: { list: { name: string; query: unknown }[] } };
  const asking = panels.filter(({ type }) => type !== 'row');
  expect(asking.length).toBeGreaterThan(15);
  for (const { title, targets = [] } of asking) {
    expect(targets.length).toBeGreaterThan(0);
    for (const { expr } of targets) expect([title, faultsOf(expr)]).toEqual([title, []]);
  }
  expect(JSON.stringify(templating.list.find(({ name }) => name === 'instance')?.query)).toContain('signet_build_info');
});

test('deploy/prometheus/alerts.yml: every rule asks for what there is, and says what to do next', () => {
  const rules = readFileSync('deploy/prometheus/alerts.yml', 'utf8').split(/^ {6}- alert: /m).slice(1);
  expect(rules.length).toBeGreaterThan(10);
  for (const rule of rules) {
    const [name = ''] = rule.split('\n');
    const expression = /^ {8}expr: (.+)$/m.exec(rule)?.[1] ?? '';
    expect([name, faultsOf(expression)]).toEqual([name, []]);
    expect([name, /severity: (critical|warning|info)/.test(rule), /summary: "/.test(rule), /next: "/.test(rule)]).toEqual([name, true, true, true]);
  }
});
