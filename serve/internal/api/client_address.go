package api

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// ParseNetworks parses networks such as "10.0.0.0/8", and single addresses.
func ParseNetworks(texts []string) ([]netip.Prefix, error) {
	var list []netip.Prefix
	for _, text := range texts {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			var address netip.Addr
			if address, err = netip.ParseAddr(text); err != nil {
				return nil, fmt.Errorf("'%s' is neither a network nor an address", text)
			}
			network = netip.PrefixFrom(address, address.BitLen())
		}
		list = append(list, network.Masked())
	}
	return list, nil
}

// clientKey returns the key by which unauthenticated requests are limited: the client's address. The first request that came
// through a proxy which is not trusted is logged: all callers of that proxy share one budget.
func (s *server) clientKey(r *request) string {
	if isForwarded(&r.rc.Request.Header) && !isTrusted(r.rc.RemoteAddr(), s.TrustedProxies) {
		s.proxySeen.Do(func() {
			s.Log.Warn("requests come through a proxy that is not trusted: all its callers share one rate limit; " +
				"name its network with --trusted-proxies (TRUSTED_PROXIES)")
		})
	}
	return clientKey(r.rc.RemoteAddr(), r.rc.Request.Header.PeekAll("X-Forwarded-For"), s.TrustedProxies)
}

// clientKey returns the client's IPv4 address, or its IPv6 network of 64 bits, which one customer is assigned. Each proxy
// appends the address of its client to X-Forwarded-For, so the list is read from the right, and only as long as the
// address to its right is a trusted proxy: everything further left may be forged.
func clientKey(connection net.Addr, forwarded [][]byte, proxies []netip.Prefix) string {
	tcp, ok := connection.(*net.TCPAddr)
	if !ok {
		return "local"
	}
	address := tcp.AddrPort().Addr().Unmap()
	hops := strings.Split(string(bytes.Join(forwarded, []byte(","))), ",")
	for _, hop := range slices.Backward(hops) {
		if !slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(address) }) {
			break
		}
		before, ok := parseHop(strings.TrimSpace(hop))
		if !ok {
			break
		}
		address = before
	}
	if address.Is6() {
		network, _ := address.WithZone("").Prefix(64) // always fits
		address = network.Addr()
	}
	return "ip " + address.String()
}

// isForwarded reports whether a request says that a proxy has sent it.
func isForwarded(h *fasthttp.RequestHeader) bool {
	for _, name := range []string{"X-Forwarded-For", "Forwarded", "X-Real-Ip", "Via"} {
		if len(h.Peek(name)) > 0 {
			return true
		}
	}
	return false
}

func isTrusted(connection net.Addr, proxies []netip.Prefix) bool {
	tcp, ok := connection.(*net.TCPAddr)
	return ok && slices.ContainsFunc(proxies, func(p netip.Prefix) bool { return p.Contains(tcp.AddrPort().Addr().Unmap()) })
}

// parseHop parses an address, which some proxies write with a port.
func parseHop(text string) (netip.Addr, bool) {
	address, err := netip.ParseAddr(text)
	if err != nil {
		var with netip.AddrPort
		with, err = netip.ParseAddrPort(text)
		address = with.Addr()
	}
	return address.Unmap().WithZone(""), err == nil
}
