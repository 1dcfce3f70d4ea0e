/**
 * The bridge network driver.
 *
 * @packageDocumentation
 */

export {}
