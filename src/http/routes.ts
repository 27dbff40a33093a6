import type { Operation } from '../api/operation.ts';
import { OPERATIONS, type OperationId } from '../api/operations.ts';
import * as adminTokens from './admin-tokens.ts';
import * as agents from './agents.ts';
import * as auditProofs from './audit-proofs.ts';
import * as authorities from './authorities.ts';
import * as certificates from './certificates.ts';
import * as crl from './crl.ts';
import * as documents from './documents.ts';
import * as feed from './feed.ts';
import * as instances from './instances.ts';
import * as joinTokens from './join-tokens.ts';
import * as ocsp from './ocsp.ts';
import * as kills from './kills.ts';
import * as log from './log.ts';
import * as operations from './operations.ts';
import * as records from './records.ts';
import * as relyingParties from './relying-parties.ts';
import * as renewals from './renewals.ts';
import * as revocations from './revocations.ts';
import { route, type Columns, type Door, type Route } from './route.ts';
import * as status from './status.ts';
import * as trustBundle from './trust-bundle.ts';

const api: readonly Door[] = ['api'];
const mtls: readonly Door[] = ['mtls'];
const statusDoor: readonly Door[] = ['status'];

/**
 * The table: every operation of the contract (method, path, permission) with the listeners that serve it, how the caller is authenticated, its rate
 * class, its body limit and its handler. A row without one of these does not compile, nor does an operation without a row.
 */
const TABLE: { readonly [Id in OperationId]: Columns<(typeof OPERATIONS)[Id]> } = {
  registerAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: agents.register } },
  listAgents: { on: api, as: 'admin', rate: 'read', body: 'none', handler: agents.list },
  getAgent: { on: api, as: 'admin', rate: 'read', body: 'none', handler: agents.get },
  changeAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: agents.change },
  activateAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: agents.activate },
  suspendAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: agents.suspend },
  resumeAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: agents.resume },
  retireAgent: { on: api, as: 'admin', rate: 'change', body: 'json', handler: agents.retire },

  listInstances: { on: api, as: 'admin', rate: 'read', body: 'none', handler: instances.list },
  getInstance: { on: api, as: 'admin', rate: 'read', body: 'none', handler: instances.get },
  quarantineInstance: { on: api, as: 'admin', rate: 'change', body: 'json', handler: instances.quarantine },
  releaseInstance: { on: api, as: 'admin', rate: 'change', body: 'json', handler: instances.release },
  revokeInstance: { on: api, as: 'admin', rate: 'change', body: 'json', handler: instances.revoke },

  createJoinToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: joinTokens.create } },
  listJoinTokens: { on: api, as: 'admin', rate: 'read', body: 'none', handler: joinTokens.list },

  issueCertificate: { on: api, as: 'enrollment', rate: 'issue', body: 'json', handler: certificates.issue, lean: true },
  renewCertificate: { on: mtls, as: 'client-certificate', rate: 'issue', body: 'json', handler: certificates.renew, lean: true },
  listCertificates: { on: api, as: 'admin', rate: 'read', body: 'none', handler: certificates.list },
  getCertificate: { on: api, as: 'admin', rate: 'read', body: 'none', handler: certificates.get },
  revokeCertificate: { on: api, as: 'admin', rate: 'change', body: 'json', handler: revocations.revoke },
  holdCertificate: { on: api, as: 'admin', rate: 'change', body: 'json', handler: revocations.hold },
  releaseCertificate: { on: api, as: 'admin', rate: 'change', body: 'json', handler: revocations.release },
  revokeAgentCertificates: { on: api, as: 'admin', rate: 'change', body: 'json', handler: revocations.revokeAll },
  getIssuanceProof: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: auditProofs.issuance },

  getRenewalInfo: { on: mtls, as: 'client-certificate', rate: 'status', body: 'none', handler: renewals.info },
  steerRenewals: { on: api, as: 'admin', rate: 'change', body: 'json', handler: renewals.steer },

  kill: { on: api, as: 'admin', rate: 'change', body: 'json', handler: kills.kill },
  listKills: { on: api, as: 'admin', rate: 'read', body: 'none', handler: kills.list },
  getKill: { on: api, as: 'admin', rate: 'read', body: 'none', handler: kills.get },
  resumeKill: { on: api, as: 'admin', rate: 'change', body: 'json', handler: kills.resume },

  getStatus: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: status.getStatus },
  listStatuses: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'json', handler: status.listStatuses },
  listAgentStatuses: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: status.listAgentStatuses },
  listInstanceStatuses: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: status.listInstanceStatuses },
  getStatusByFingerprint: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: status.getStatusByFingerprint },
  getIdentity: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: status.getIdentity },

  followRevocations: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: feed.follow },
  getRevocationSnapshot: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'none', handler: feed.snapshot },
  getRevocation: { on: api, as: 'admin', rate: 'read', body: 'none', handler: feed.propagation },
  registerEnforcementPoint: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'json', handler: feed.register },
  acknowledgeRevocations: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'json', handler: feed.acknowledge },
  leaveEnforcementPoint: { on: ['api', 'mtls'], as: 'relying-party-or-admin', rate: 'status', body: 'json', handler: feed.leave },
  listEnforcementPoints: { on: api, as: 'admin', rate: 'read', body: 'none', handler: feed.list },

  listAuthorities: { on: api, as: 'admin', rate: 'read', body: 'none', handler: authorities.list },
  rotateAuthority: { on: api, as: 'admin', rate: 'change', body: 'json', handler: authorities.rotate },
  rolloverRoot: { on: api, as: 'admin', rate: 'change', body: 'json', handler: authorities.rollover },
  getTrustBundle: { on: ['api', 'mtls', 'status'], as: 'none', rate: 'read', body: 'none', handler: trustBundle.getTrustBundle },

  createAdminToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: adminTokens.create } },
  listAdminTokens: { on: api, as: 'admin', rate: 'read', body: 'none', handler: adminTokens.list },
  getOwnAdminToken: { on: api, as: 'admin', rate: 'read', body: 'none', handler: adminTokens.getOwn },
  rotateOwnAdminToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: adminTokens.rotateOwn, afterwards: adminTokens.forgetRotated } },
  rotateAdminToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: adminTokens.rotate, afterwards: adminTokens.forgetRotated } },
  revokeAdminToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: adminTokens.revoke },

  registerRelyingParty: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: relyingParties.register } },
  listRelyingParties: { on: api, as: 'admin', rate: 'read', body: 'none', handler: relyingParties.list },
  getRelyingParty: { on: api, as: 'admin', rate: 'read', body: 'none', handler: relyingParties.get },
  changeRelyingParty: { on: api, as: 'admin', rate: 'change', body: 'json', handler: relyingParties.change },
  disableRelyingParty: { on: api, as: 'admin', rate: 'change', body: 'json', handler: relyingParties.disable },
  enableRelyingParty: { on: api, as: 'admin', rate: 'change', body: 'json', handler: relyingParties.enable },
  addRelyingPartyCertificate: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: relyingParties.addCertificate } },
  removeRelyingPartyCertificate: { on: api, as: 'admin', rate: 'change', body: 'json', handler: relyingParties.removeCertificate },
  createRelyingPartyToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: { creating: relyingParties.createToken } },
  listRelyingPartyTokens: { on: api, as: 'admin', rate: 'read', body: 'none', handler: relyingParties.listTokens },
  revokeRelyingPartyToken: { on: api, as: 'admin', rate: 'change', body: 'json', handler: relyingParties.revokeToken },

  listAudit: { on: api, as: 'admin', rate: 'read', body: 'none', handler: records.audit },
  getAuditLog: { on: api, as: 'admin', rate: 'read', body: 'none', handler: log.getAuditLog },
  listJobs: { on: api, as: 'admin', rate: 'read', body: 'none', handler: records.jobs },
  listFindings: { on: api, as: 'admin', rate: 'read', body: 'none', handler: records.findings },
  resolveFinding: { on: api, as: 'admin', rate: 'change', body: 'json', handler: records.resolve },
  getConsistencyProof: { on: api, as: 'admin', rate: 'read', body: 'none', handler: auditProofs.consistency },
  getInclusionProof: { on: api, as: 'admin', rate: 'read', body: 'none', handler: auditProofs.inclusion },
  getAuditEvidence: { on: api, as: 'admin', rate: 'read', body: 'none', handler: auditProofs.evidence },

  getCheckpoint: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: log.getCheckpoint },
  getLogKey: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: log.getLogKey },
  getLogEntries: { on: api, as: 'admin', rate: 'status', body: 'none', handler: log.getLogEntries, lean: true },
  getLogTile: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: log.getLogTile, lean: true },

  getCompleteCrl: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: crl.getCompleteCrl, lean: true },
  getCrlShard: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: crl.getCrlShard, lean: true },
  listCrls: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: crl.listCrls },
  getIssuerCertificate: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: trustBundle.getIssuerCertificate },
  postOcsp: { on: statusDoor, as: 'none', rate: 'status', body: 'ocsp', handler: ocsp.postOcsp, lean: true },
  getOcsp: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: ocsp.getOcsp, lean: true },
  getTrustBundlePem: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: trustBundle.getTrustBundlePem },
  getSpiffeBundle: { on: statusDoor, as: 'none', rate: 'status', body: 'none', handler: trustBundle.getSpiffeBundle },

  getErrorsDocument: { on: api, as: 'none', rate: 'read', body: 'none', handler: documents.getErrorsDocument },
  getOpenApi: { on: api, as: 'none', rate: 'read', body: 'none', handler: documents.getOpenApi },
  getDocsPage: { on: api, as: 'none', rate: 'read', body: 'none', handler: documents.getDocsPage },
  getHealth: { on: ['api', 'status', 'operations'], as: 'none', rate: 'health', body: 'none', handler: operations.getHealth },
  getReadiness: { on: ['operations'], as: 'none', rate: 'health', body: 'none', handler: operations.getReadiness },
  getMetrics: { on: ['operations'], as: 'none', rate: 'health', body: 'none', handler: operations.getMetrics },
};

/** The table with its operations, in its order: the first row that matches serves. */
export const ROUTES: readonly Route[] = Object.entries(OPERATIONS).map(([id, operation]) => route(operation as Operation, TABLE[id as OperationId] as Columns<Operation>));
