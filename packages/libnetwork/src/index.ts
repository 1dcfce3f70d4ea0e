/**
 * Container networks for Node: networks, endpoints, sandboxes and published ports.
 *
 * @packageDocumentation
 */

export {}
