/**
 * Embedded DNS, hosts and resolv.conf of containers.
 *
 * @packageDocumentation
 */

export type { AnsweredAddress, OnAnswer } from './answered.ts'
export { BoundFiles, type WriteOptions } from './bound-files.ts'
export { isDomainName } from './domain-name.ts'
export {
  InvalidDomainNameError,
  InvalidFileHashError,
  InvalidHostNameError,
  MalformedDnsMessageError,
  ResolvConfTooLongError,
} from './errors.ts'
export { FairSlots, type FairSlotsOptions } from './fair-slots.ts'
export {
  formatHostRecords,
  formatHosts,
  ownHostRecord,
  removeHostRecords,
  updateHostAddress,
  type HostRecord,
} from './hosts-file.ts'
export type { Question } from './message.ts'
export { NameTable, type EndpointNames, type NamedService } from './name-table.ts'
export type { Place } from './places.ts'
export type { NameRecords, RecordSource, ServiceTarget } from './record-source.ts'
export { removeLeftRules } from './redirect.ts'
export { transformForInternalResolver, transformForLegacyNetwork } from './resolv-conf-transform.ts'
export {
  addOption,
  emptyResolvConf,
  findOption,
  formatResolvConf,
  overrideResolvConf,
  parseResolvConf,
  type ExternalServer,
  type ResolvConf,
} from './resolv-conf.ts'
export { openResolver, type Resolver, type ResolverDeps, type ResolverOptions } from './resolver.ts'
export { SandboxNames, type AttachedNetwork } from './sandbox-names.ts'
export type { ResolverStatistics } from './statistics.ts'
export type { UpstreamServer } from './upstream.ts'
export { UsualPorts, type Listening, type Ports } from './usual-ports.ts'
