package api

import (
	"net"
	"testing"
)

func TestClientKey(t *testing.T) {
	proxies, _ := ParseNetworks([]string{"10.0.0.0/8", "192.0.2.7", "2001:db8:ffff::/48"})
	for name, test := range map[string]struct {
		address string
		headers []string
		want    string
	}{
		"IPv4":                        {"198.51.100.3:5", nil, "ip 198.51.100.3"},
		"IPv4 in IPv6":                {"[::ffff:198.51.100.3]:5", nil, "ip 198.51.100.3"},
		"IPv6":                        {"[2001:db8:1:2:3:4:5:6]:7", nil, "ip 2001:db8:1:2::"},
		"untrusted header":            {"198.51.100.3:5", []string{"203.0.113.9"}, "ip 198.51.100.3"},
		"proxy without a word":        {"10.1.2.3:5", nil, "ip 10.1.2.3"},
		"proxy":                       {"10.1.2.3:5", []string{"203.0.113.9"}, "ip 203.0.113.9"},
		"single address as proxy":     {"192.0.2.7:5", []string{"203.0.113.9"}, "ip 203.0.113.9"},
		"what the caller says before": {"10.1.2.3:5", []string{"1.1.1.1, 2.2.2.2, 203.0.113.9"}, "ip 203.0.113.9"},
		"two proxies":                 {"10.1.2.3:5", []string{"1.1.1.1, 203.0.113.9, 10.9.9.9"}, "ip 203.0.113.9"},
		"two lines":                   {"10.1.2.3:5", []string{"1.1.1.1", "203.0.113.9 , 10.9.9.9"}, "ip 203.0.113.9"},
		"proxies alone":               {"10.1.2.3:5", []string{"10.7.7.7, 10.9.9.9"}, "ip 10.7.7.7"},
		"nonsense behind a proxy":     {"10.1.2.3:5", []string{"203.0.113.9, x, 10.9.9.9"}, "ip 10.9.9.9"},
		"nonsense":                    {"10.1.2.3:5", []string{"unknown"}, "ip 10.1.2.3"},
		"empty":                       {"10.1.2.3:5", []string{""}, "ip 10.1.2.3"},
		"IPv6 by a proxy":             {"[2001:db8:ffff::1]:7", []string{"2001:db8:1:2:3:4:5:6"}, "ip 2001:db8:1:2::"},
		"IPv6 with a port":            {"10.1.2.3:5", []string{"[2001:db8:1:2:3:4:5:6]:80"}, "ip 2001:db8:1:2::"},
		"IPv4 with a port":            {"10.1.2.3:5", []string{"203.0.113.9:80"}, "ip 203.0.113.9"},
		"IPv6 with a zone":            {"10.1.2.3:5", []string{"fe80::1%eth0"}, "ip fe80::"},
	} {
		t.Run(name, func(t *testing.T) {
			addr, err := net.ResolveTCPAddr("tcp", test.address)
			if err != nil {
				t.Fatal(err)
			}
			var forwarded [][]byte
			for _, h := range test.headers {
				forwarded = append(forwarded, []byte(h))
			}
			if got := clientKey(addr, forwarded, proxies); got != test.want {
				t.Errorf("got %q, want %q", got, test.want)
			}
		})
	}
	if got := clientKey(&net.UnixAddr{}, nil, proxies); got != "local" {
		t.Errorf("Unix socket: %q", got)
	}
	for _, wrong := range []string{"x", "10.0.0.0/33", "10.0.0.1/8/8"} {
		if _, err := ParseNetworks([]string{wrong}); err == nil {
			t.Errorf("%s is a network", wrong)
		}
	}
}
