package serve_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve"
	"github.com/retainwise/millrace/serve/internal/api"
	"github.com/retainwise/millrace/serve/servetest"
	"github.com/retainwise/millrace/store/storetest"
)

// writeCertificate makes a certificate for loopback that signs itself, and gives what a client must trust.
func writeCertificate(t *testing.T, files serve.TLSFiles, serial int64) *x509.CertPool {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(serial), NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	keyDER, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	for name, block := range map[string]*pem.Block{
		files.Certificate: {Type: "CERTIFICATE", Bytes: der}, files.Key: {Type: "PRIVATE KEY", Bytes: keyDER},
	} {
		if err := os.WriteFile(name, pem.EncodeToMemory(block), 0o600); err != nil {
			t.Fatal(err)
		}
		later := time.Now().Add(time.Duration(serial) * time.Second) // more than the resolution of the file system's clock
		if err := os.Chtimes(name, later, later); err != nil {
			t.Fatal(err)
		}
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}))
	return pool
}

func TestTLS_ReloadsCertificate(t *testing.T) {
	dir := t.TempDir()
	files := serve.TLSFiles{Certificate: filepath.Join(dir, "cert.pem"), Key: filepath.Join(dir, "key.pem")}
	first := writeCertificate(t, files, 1)
	m := servetest.Start(t, func(c *serve.RunConfig) {
		c.DatabaseURL, c.TLS, c.API.HSTS = storetest.Postgres(t), files, 365*24*time.Hour
	})
	serial := func(pool *x509.CertPool, newest uint16) (int64, error) {
		client := &http.Client{Transport: &http.Transport{
			TLSClientConfig: &tls.Config{RootCAs: pool, MaxVersion: newest}, DisableKeepAlives: true,
		}}
		resp, err := client.Get(m.API + "/health")
		if err != nil {
			return 0, err
		}
		defer func() { _ = resp.Body.Close() }()
		if resp.StatusCode != http.StatusOK {
			t.Errorf("status %d", resp.StatusCode)
		}
		if got := resp.Header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("Strict-Transport-Security: %q", got)
		}
		return resp.TLS.PeerCertificates[0].SerialNumber.Int64(), nil
	}
	if n, err := serial(first, 0); n != 1 || err != nil {
		t.Fatalf("certificate %d, %v", n, err)
	}
	if _, err := serial(first, tls.VersionTLS11); err == nil {
		t.Error("TLS 1.1 is spoken")
	}
	if err := os.WriteFile(files.Key, []byte("half of it"), 0o600); err != nil { // as during a renewal
		t.Fatal(err)
	}
	if n, err := serial(first, 0); n != 1 || err != nil {
		t.Errorf("while files are being written: certificate %d, %v", n, err)
	}
	second := writeCertificate(t, files, 2)
	if n, err := serial(second, 0); n != 2 || err != nil {
		t.Errorf("renewed: certificate %d, %v", n, err)
	}
}

// TestHSTS_OverTLSOnly: every answer over TLS has the header, errors and refusals too; without TLS it must not be sent.
func TestHSTS_OverTLSOnly(t *testing.T) {
	const year = 365 * 24 * time.Hour
	plain := servetest.Start(t, func(c *serve.RunConfig) { c.DatabaseURL, c.API.HSTS = storetest.Postgres(t), year })
	resp, err := http.Get(plain.API + "/health")
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if got := resp.Header.Get("Strict-Transport-Security"); got != "" {
		t.Errorf("without TLS: %q", got)
	}
	a := startAPI(t, func(c *api.Config, _ *api.Parts) { c.HSTS = year })
	for _, text := range []string{
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n", "GET /predictions HTTP/1.1\r\nHost: x\r\n\r\n", "GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n",
		"OPTIONS /upload HTTP/1.1\r\nHost: x\r\n\r\n", "nonsense\r\n\r\n", "GET /docs HTTP/1.1\r\nHost: x\r\n\r\n",
		"GET /page/look.css HTTP/1.1\r\nHost: x\r\n\r\n",
	} {
		r, err := a.raw(text)
		if err != nil {
			t.Fatal(err)
		}
		if got := r.header.Get("Strict-Transport-Security"); got != "max-age=31536000" {
			t.Errorf("%.20q: %q", text, got)
		}
	}
}
