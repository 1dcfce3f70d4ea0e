/**
 * The group (IFLA_GROUP) that every bridge of a network is in, whichever controller of the host made it: the
 * packet rules of one tell by it the networks of others from interfaces that are no network's. Letters `net`.
 */
export const NETWORK_LINK_GROUP = 0x6e6574

/**
 * The group of interfaces that the host's ends of containers' interfaces are in, on bridges that were made for their
 * networks: what they say of multicast groups nobody there needs to hear unasked.
 */
export const PORT_LINK_GROUP = NETWORK_LINK_GROUP + 1
