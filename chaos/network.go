package main

import (
	"context"
	"fmt"
	"net/url"
	"sync"
	"time"

	"github.com/retainwise/millrace/store/storetest/proxy"
)

// network has a proxy in front of each server that millrace uses.
type network struct {
	database, objects, queue string // addresses of the proxies

	links []*link // in the same order
}

// link is the way to one server. It has one fault at a time.
type link struct {
	name    string
	latency time.Duration // without a fault
	proxy   *proxy.Proxy
	busy    sync.Mutex
}

// newDistantNetwork has links with latencies. Real servers are not on the same machine either, and a part that takes a
// while is more often leased by a worker when that worker is killed.
func newDistantNetwork(s *servers) (*network, error) {
	n, err := newNetwork(s, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	for i, latency := range []time.Duration{2 * time.Millisecond, 20 * time.Millisecond, 5 * time.Millisecond} {
		n.links[i].latency = latency
		n.links[i].heal()
	}
	return n, nil
}

// newNetwork has links without latency that listen on a host, which other network namespaces may reach.
func newNetwork(s *servers, host string) (_ *network, err error) {
	n := new(network)
	socket, err := socketOf(s.DatabaseURL)
	if err != nil {
		return nil, err
	}
	for _, server := range []struct {
		name            string
		address         *string
		network, target string
	}{
		{"PostgreSQL", &n.database, "unix", socket},
		{"S3", &n.objects, "tcp", hostOf(s.S3.Endpoint)},
		{"SQS", &n.queue, "tcp", hostOf(s.SQS.Endpoint)},
	} {
		p, err := proxy.New(host, server.network, server.target)
		if err != nil {
			n.close()
			return nil, fmt.Errorf("proxy of %s: %w", server.name, err)
		}
		n.links = append(n.links, &link{name: server.name, proxy: p})
		*server.address = p.Address()
	}
	return n, nil
}

func hostOf(endpoint string) string {
	u, err := url.Parse(endpoint)
	if err != nil {
		return endpoint
	}
	return u.Host
}

func (n *network) close() {
	for _, l := range n.links {
		l.proxy.Close()
	}
}

// faults can happen to a link.
var faults = []struct {
	name               string
	cut                bool
	toServer, toClient proxy.Fault
}{
	{name: "cut", cut: true},
	{name: "slow", toClient: proxy.Fault{Latency: 150 * time.Millisecond, Jitter: 100 * time.Millisecond}},
	{
		name:     "slow both ways",
		toServer: proxy.Fault{Latency: 60 * time.Millisecond, Jitter: 40 * time.Millisecond},
		toClient: proxy.Fault{Latency: 60 * time.Millisecond, Jitter: 40 * time.Millisecond},
	},
	{name: "reset", toClient: proxy.Fault{Stall: true, ResetAfter: 100 * time.Millisecond}},
	{name: "silent", toServer: proxy.Fault{Stall: true}},
	{name: "deaf", toClient: proxy.Fault{Stall: true}},
	{name: "narrow", toClient: proxy.Fault{BytesPerSecond: 200_000}},
	{name: "break off", toServer: proxy.Fault{BytesMax: 9000}},
	{name: "sliced", toClient: proxy.Fault{SliceBytes: 64, SlicePause: 99 * time.Microsecond}},
}

// suffer has a fault for a while. It returns false at once if the link has one already.
func (l *link) suffer(ctx context.Context, fault int, d time.Duration) bool {
	if !l.busy.TryLock() {
		return false
	}
	defer l.busy.Unlock()
	f := faults[fault]
	if f.cut {
		l.proxy.Cut()
	} else {
		f.toClient.Latency += l.latency
		l.proxy.Impair(proxy.ToServer, f.toServer)
		l.proxy.Impair(proxy.ToClient, f.toClient)
	}
	wait(ctx, d)
	for l.proxy.Restore() != nil && ctx.Err() == nil { // the port is another process's for a moment
	}
	l.heal()
	return true
}

// heal leaves the link its own latency.
func (l *link) heal() { l.proxy.Impair(proxy.ToClient, proxy.Fault{Latency: l.latency}) }

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
