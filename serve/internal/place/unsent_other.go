//go:build !linux

package place

import "net"

// boundUnsent does nothing: what the kernel holds for a client is the system's default.
func boundUnsent(net.Conn) {}
