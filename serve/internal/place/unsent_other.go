//go:build !linux

package place

import "net"

// unsentMemory is not known.
const unsentMemory = 0

// boundUnsent does nothing: what the kernel holds for a client is the system's default.
func boundUnsent(net.Conn) {}
