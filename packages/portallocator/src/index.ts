/**
 * Host ports: taken, held and released.
 *
 * @packageDocumentation
 */

export {}
