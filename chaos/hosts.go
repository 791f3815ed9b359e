package main

import (
	"fmt"
	"net"
	"os/exec"
	"strings"
)

// hosts are network namespaces on a bridge, as separate machines on a switch. A nil one is this host alone.
type hosts struct {
	bridge string
	names  []string
}

// hostsNet is reserved for benchmarks of networks, so no real network uses it.
const hostsNet = "198.18.77."

func newHosts(n int) (_ *hosts, err error) {
	h := &hosts{bridge: "millrace-br"}
	defer func() {
		if err != nil {
			h.close()
		}
	}()
	if err := run("ip link add name "+h.bridge+" type bridge",
		"ip addr add "+hostsNet+"1/24 dev "+h.bridge, "ip link set "+h.bridge+" up"); err != nil {
		return h, err
	}
	for i := range n {
		name := fmt.Sprint("millrace-", i)
		h.names = append(h.names, name)
		if err := run(
			"ip netns add "+name,
			fmt.Sprintf("ip link add mr-%d type veth peer name eth0 netns %s", i, name),
			fmt.Sprintf("ip link set mr-%d master %s up", i, h.bridge),
			fmt.Sprintf("ip -n %s addr add %s%d/24 dev eth0", name, hostsNet, i+2),
			fmt.Sprintf("ip -n %s link set eth0 up", name), fmt.Sprintf("ip -n %s link set lo up", name),
		); err != nil {
			return h, err
		}
	}
	l, err := net.Listen("tcp", net.JoinHostPort(h.address(), "0"))
	if err != nil {
		return h, err
	}
	return h, l.Close()
}

func run(commands ...string) error {
	for _, line := range commands {
		words := strings.Fields(line)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			return fmt.Errorf("%s: %w: %s", line, err, strings.TrimSpace(string(out)))
		}
	}
	return nil
}

func (h *hosts) close() {
	for _, name := range h.names {
		_ = run("ip netns del " + name)
	}
	_ = run("ip link del " + h.bridge)
}

func (h *hosts) name() string {
	if h == nil {
		return "one host"
	}
	return "hosts of their own"
}

// address is where the servers can be reached.
func (h *hosts) address() string {
	if h == nil {
		return "127.0.0.1"
	}
	return hostsNet + "1"
}

func (h *hosts) prefixes() (list [][]string) {
	if h != nil {
		for _, name := range h.names {
			list = append(list, []string{"ip", "netns", "exec", name})
		}
	}
	return list
}
