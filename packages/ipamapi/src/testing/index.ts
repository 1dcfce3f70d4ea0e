/**
 * The compliance suite: what an address manager has to do to be one.
 *
 * @packageDocumentation
 */

export { describeIpamDriver } from './describe-ipam-driver.ts'
