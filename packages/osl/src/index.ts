/**
 * Sandboxes of the operating system, and the executor that carries plans out.
 *
 * @packageDocumentation
 */

export {}
