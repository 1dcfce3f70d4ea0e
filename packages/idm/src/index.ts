/**
 * Numeric ids out of a range.
 *
 * @packageDocumentation
 */

export {}
