import { expect, test } from '@jest/globals';
import { createMetrics } from '../../../src/core/metrics.ts';

test('metrics count by label and are told in the Prometheus text format', async () => {
  const metrics = createMetrics();
  metrics.issued.inc({ profile: 'agent' });
  metrics.issued.inc({ profile: 'agent' });
  metrics.refused.inc({ code: 'csr-malformed' });
  metrics.issuanceDuration.observe({ operation: 'issue' }, 0.003);
  metrics.cluster.crlNumber.set({ issuer: 'I1' }, 7);
  const text = await metrics.text();
  expect(text).toContain('signet_certificates_issued_total{profile="agent"} 2\n');
  expect(text).toContain('signet_requests_refused_total{code="csr-malformed"} 1\n');
  expect(text).toContain('signet_issuance_duration_seconds_bucket{le="0.005",operation="issue"} 1\n');
  expect(text).toContain('signet_cluster_crl_number{issuer="I1"} 7\n');
  expect(metrics.contentType).toContain('text/plain');
});

test('metrics of two services in one process do not meet', async () => {
  const one = createMetrics();
  const other = createMetrics();
  one.findings.inc({ kind: 'copied-key' });
  expect(await other.text()).not.toContain('copied-key');
});

test('metrics measure the process when asked', async () => {
  expect(await createMetrics().text()).not.toContain('process_cpu_seconds_total');
  expect(await createMetrics({ processMetrics: true }).text()).toContain('process_cpu_seconds_total');
});
