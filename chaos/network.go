package main

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/Shopify/toxiproxy/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/rs/zerolog"
)

// network is what lies between millrace and its servers.
type network struct {
	database, objects, queue string // addresses

	relays []*relay
	links  []*link // a proxy in front of each server that can be cut and slowed, in the same order; none in quiet ones
}

// link is the way to one server. One fault at a time.
type link struct {
	name  string
	front *relay // what millrace connects to
	proxy *toxiproxy.Proxy
	busy  sync.Mutex
}

// newNetwork is one that can be disturbed.
func newNetwork(s *servers) (_ *network, err error) {
	n, err := newQuietNetwork(s, "127.0.0.1")
	if err != nil {
		return nil, err
	}
	server := newToxiproxy()
	for _, upstream := range []struct {
		name     string
		address  *string
		distance int // in milliseconds
	}{{"PostgreSQL", &n.database, 2}, {"S3", &n.objects, 20}, {"SQS", &n.queue, 5}} {
		l, err := newLink(server, upstream.name, *upstream.address, upstream.distance)
		if err != nil {
			n.close()
			return nil, err
		}
		n.links = append(n.links, l)
		*upstream.address = l.front.address
	}
	return n, nil
}

func newToxiproxy() *toxiproxy.ApiServer {
	return toxiproxy.NewServer(toxiproxy.NewMetricsContainer(prometheus.NewRegistry()), zerolog.Nop())
}

// newLink leads to an address as far away as it says, in milliseconds.
func newLink(server *toxiproxy.ApiServer, name, upstream string, distance int) (*link, error) {
	proxy := toxiproxy.NewProxy(server, name, "127.0.0.1:0", upstream)
	if err := proxy.Start(); err != nil {
		return nil, fmt.Errorf("proxy: %w", err)
	}
	front, err := newRelay("127.0.0.1", "tcp", proxy.Listen)
	if err != nil {
		proxy.Stop()
		return nil, err
	}
	l := &link{name: name, front: front, proxy: proxy}
	l.add(away(distance))
	return l, nil
}

func (l *link) close() {
	l.front.close()
	l.proxy.Stop()
}

// newQuietNetwork only leads to the servers, from an address that other network namespaces may reach.
func newQuietNetwork(s *servers, host string) (_ *network, err error) {
	n := new(network)
	socket, err := socketOf(s.DatabaseURL)
	if err != nil {
		return nil, err
	}
	for _, server := range []struct {
		address         *string
		network, target string
	}{
		{&n.database, "unix", socket},
		{&n.objects, "tcp", hostOf(s.S3.Endpoint)},
		{&n.queue, "tcp", hostOf(s.SQS.Endpoint)},
	} {
		r, err := newRelay(host, server.network, server.target)
		if err != nil {
			n.close()
			return nil, err
		}
		n.relays = append(n.relays, r)
		*server.address = r.address
	}
	return n, nil
}

// away is how far a server is on a good day, in milliseconds. Real ones are not on the same machine either, and a part
// that takes a while is more often in somebody's hand when that somebody is killed.
func away(milliseconds int) string {
	return fmt.Sprintf(`{"name":"distance","type":"latency","attributes":{"latency":%d}}`, milliseconds)
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
		l.close()
	}
	for _, r := range n.relays {
		r.close()
	}
}

// faults are what can happen to a link, as toxics of toxiproxy; "cut" is none of them.
var faults = []struct{ name, toxics string }{
	{"cut", ""},
	{"slow", `{"type":"latency","stream":"downstream","attributes":{"latency":150,"jitter":100}}`},
	{"slow both ways", `{"type":"latency","stream":"downstream","attributes":{"latency":60,"jitter":40}}
		{"type":"latency","stream":"upstream","attributes":{"latency":60,"jitter":40}}`},
	{"reset", `{"type":"reset_peer","stream":"downstream","attributes":{"timeout":100}}`},
	{"silent", `{"type":"timeout","stream":"upstream","attributes":{"timeout":0}}`},
	{"deaf", `{"type":"timeout","stream":"downstream","attributes":{"timeout":0}}`},
	{"narrow", `{"type":"bandwidth","stream":"downstream","attributes":{"rate":200}}`},
	{"break off", `{"type":"limit_data","stream":"upstream","attributes":{"bytes":9000}}`},
	{"sliced", `{"type":"slicer","stream":"downstream","attributes":{"average_size":64,"size_variation":32,"delay":99}}`},
}

// suffer has a fault for a while. It returns false at once if the link has one already.
func (l *link) suffer(ctx context.Context, fault int, d time.Duration) bool {
	if !l.busy.TryLock() {
		return false
	}
	defer l.busy.Unlock()
	f := faults[fault]
	if f.toxics == "" {
		l.close()
		wait(ctx, d)
		untilFree(l.proxy.Start)
		untilFree(l.front.open)
		return true
	}
	var names []string
	for toxic := range strings.SplitSeq(f.toxics, "\n") {
		names = append(names, l.add(toxic))
	}
	wait(ctx, d)
	for _, name := range names {
		if err := l.proxy.Toxics.RemoveToxic(context.WithoutCancel(ctx), name); err != nil {
			panic(err) // it was added above
		}
	}
	return true
}

// untilFree listens again on a port that was just let go.
func untilFree(listen func() error) {
	for listen() != nil {
		time.Sleep(10 * time.Millisecond)
	}
}

// add adds a toxic and returns its name.
func (l *link) add(toxic string) string {
	added, err := l.proxy.Toxics.AddToxicJson(strings.NewReader(toxic))
	if err != nil {
		panic(err) // our own tables are wrong
	}
	return added.Name
}

func wait(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}
