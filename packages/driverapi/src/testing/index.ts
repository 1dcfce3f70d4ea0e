/**
 * What every network driver must do: a suite to run against one.
 *
 * @packageDocumentation
 */

export { describeNetworkDriver, type DriverUnderTest } from './describe-network-driver.ts'
