package serve

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"os"
	"sync"
	"time"
)

// TLSFiles are the paths of a certificate chain and its key in PEM. Empty means plain HTTP, behind a proxy that ends TLS.
type TLSFiles struct{ Certificate, Key string }

func (f TLSFiles) isSet() bool { return f != TLSFiles{} }

// wrap returns a listener of TLS 1.2 or newer. The files are read now, so that a wrong one fails the start, and again when
// they have changed, so that a certificate can be renewed without a restart.
func (f TLSFiles) wrap(l net.Listener) (net.Listener, error) {
	if f.Certificate == "" || f.Key == "" {
		return nil, errors.New("TLS: a certificate and a key belong together")
	}
	current := &certificate{files: f}
	if _, err := current.get(nil); err != nil {
		return nil, fmt.Errorf("TLS: %w", err)
	}
	return tls.NewListener(l, &tls.Config{
		MinVersion: tls.VersionTLS12, GetCertificate: current.get, NextProtos: []string{"http/1.1"},
	}), nil
}

// certificate is the newest pair that could be read. It is safe for concurrent use.
type certificate struct {
	files TLSFiles

	mu       sync.Mutex
	pair     *tls.Certificate
	modTimes [2]time.Time // of the files of the pair
}

// get returns the pair in the files. While they do not match, as during a renewal, it returns the previous pair.
func (c *certificate) get(*tls.ClientHelloInfo) (*tls.Certificate, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	written, err := c.files.modTimes()
	if err == nil && (c.pair == nil || written != c.modTimes) {
		var pair tls.Certificate
		if pair, err = tls.LoadX509KeyPair(c.files.Certificate, c.files.Key); err == nil {
			c.pair, c.modTimes = &pair, written
		}
	}
	if c.pair == nil {
		return nil, err
	}
	return c.pair, nil
}

func (f TLSFiles) modTimes() (times [2]time.Time, err error) {
	for i, name := range []string{f.Certificate, f.Key} {
		info, err := os.Stat(name)
		if err != nil {
			return times, err
		}
		times[i] = info.ModTime()
	}
	return times, nil
}
