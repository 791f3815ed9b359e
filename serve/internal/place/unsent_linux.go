package place

import (
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	// unsentBytesMax is how much the kernel takes of an answer before it can be sent, else up to tcp_wmem, 4 MB. What is on its
	// way is not counted, so a fast or distant client is sent as much as before: SO_SNDBUF would bound that as well.
	unsentBytesMax = 128 << 10
	// unsentMemory is what they take of the kernel's memory, with what it needs itself.
	unsentMemory = 2 * unsentBytesMax
	// unreadMax is how long the kernel keeps a connection, closed ones too, whose client takes nothing of what was sent.
	unreadMax = 60 * time.Second
)

// boundUnsent bounds what the kernel holds for a client that does not read. A kernel that cannot serves as it does.
func boundUnsent(c net.Conn) {
	tcp, ok := c.(*net.TCPConn)
	if !ok {
		return
	}
	if raw, err := tcp.SyscallConn(); err == nil {
		_ = raw.Control(func(fd uintptr) {
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, unsentBytesMax)
			_ = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_USER_TIMEOUT, int(unreadMax.Milliseconds()))
		})
	}
}
