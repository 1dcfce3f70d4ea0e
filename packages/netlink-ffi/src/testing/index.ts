/**
 * For tests on the real kernel: a fresh host for each test file, and a second eye.
 *
 * @packageDocumentation
 */

export { DescriptorShortage } from './descriptor-shortage.ts'
export { describeKernel, enterFreshHost, ip, ipIn, nftRuleset } from './fresh-host.ts'
export { ordinaryUser, type OrdinaryUser } from './ordinary-user.ts'
export { SystemCallFaults } from './system-call-faults.ts'
