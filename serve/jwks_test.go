package serve_test

import (
	"errors"
	"fmt"
	"math/big"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/retainwise/millrace/serve/internal/auth"
	"github.com/retainwise/millrace/serve/internal/fault"
)

// signer makes valid tokens with a key id.
func signer(c *clock, kid string) string {
	header := raw(fmt.Sprintf(`{"alg":"RS256","kid":%q}`, kid))
	claims := goodClaims(c)
	delete(claims, "iat")
	delete(claims, "nbf")
	return "Bearer " + signRS256(keyPair(), header, with(claims, "exp", c.unix(100*time.Hour)))
}

func TestJWKS_ConcurrentRequestsShareOneFetch(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	release := make(chan struct{})
	is.handle(func(w http.ResponseWriter, _ *http.Request) {
		<-release
		_, _ = w.Write([]byte(*is.body.Load()))
	})
	v := newVerifier(t, is, c, nil)
	token := signer(c, "k1")
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			if got := codeOf(v, token); got != "user_1" {
				t.Errorf("got %s", got)
			}
		})
	}
	time.Sleep(50 * time.Millisecond)
	close(release)
	wg.Wait()
	if n := is.fetches.Load(); n != 1 {
		t.Errorf("%d fetches", n)
	}
}

func TestJWKS_Rotation(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	v := newVerifier(t, is, c, nil)
	step := func(kid, want string, fetches int64) {
		t.Helper()
		if got := codeOf(v, signer(c, kid)); got != want {
			t.Errorf("%s: got %s, want %s", kid, got, want)
		}
		if n := is.fetches.Load(); n != fetches {
			t.Errorf("%s: %d fetches, want %d", kid, n, fetches)
		}
	}
	step("k1", "user_1", 1)
	step("k2", "ERR-1205", 1) // fetched a moment ago: it may be new
	is.setKeys(publicJWK("k2", keyPair()))
	c.move(29 * time.Second)
	step("k2", "ERR-1205", 1)
	c.move(2 * time.Second)
	step("k2", "user_1", 2)
	step("k1", "ERR-1201", 2) // removed
	for i := range 1100 {     // more than are remembered
		step(fmt.Sprint("guess", i), "ERR-1205", 2)
	}
	c.move(31 * time.Second)
	step("guess", "ERR-1201", 3) // fetched for it
	for range 3 {
		step("guess", "ERR-1201", 3)
	}
	step("guess1099", "ERR-1201", 3) // asked for before the fetch
	step("guess1100", "ERR-1205", 3)
}

// TestJWKS_PendingKeyRetry: the answer to a token with a new key says when to send it again, and it passes then.
func TestJWKS_PendingKeyRetry(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	v := newVerifier(t, is, c, nil)
	codeOf(v, signer(c, "k1"))
	is.setKeys(publicJWK("k1", keyPair()), publicJWK("k2", keyPair()))
	c.move(10 * time.Second)
	_, err := v.Subject(t.Context(), signer(c, "k2"))
	var f *fault.Failure
	if !errors.As(err, &f) || f.HTTPStatus() != http.StatusServiceUnavailable || !f.Code.Retryable() {
		t.Fatalf("got %v", err)
	}
	if f.RetryDelay() != 20*time.Second {
		t.Errorf("Retry-After: %s", f.RetryDelay())
	}
	c.move(f.RetryDelay() + time.Millisecond)
	if got := codeOf(v, signer(c, "k2")); got != "user_1" {
		t.Errorf("sent again: %s", got)
	}
}

func TestJWKS_Outage(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	v := newVerifier(t, is, c, nil)
	down := func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusInternalServerError) }
	is.handle(down)
	if got := codeOf(v, signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("no keys yet: got %s", got)
	}
	is.handler.Store(nil)
	if got := codeOf(v, signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("asked again at once: got %s", got)
	}
	c.move(2 * time.Second)
	if got := codeOf(v, signer(c, "k1")); got != "user_1" {
		t.Errorf("back: got %s", got)
	}
	is.handle(down)
	c.move(23 * time.Hour)
	if got := codeOf(v, signer(c, "k1")); got != "user_1" {
		t.Errorf("23 h old: got %s", got)
	}
	waitFor(t, "the refresh", func() bool { return is.fetches.Load() == 3 })
	if got := codeOf(v, signer(c, "k2")); got != "ERR-1205" {
		t.Errorf("unknown key while fetching fails: got %s", got)
	}
	c.move(2 * time.Hour)
	if got := codeOf(v, signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("25 h old: got %s", got)
	}
}

func TestJWKS_HourlyRefresh(t *testing.T) {
	c := newClock()
	is := newIssuer(t, publicJWK("k1", keyPair()))
	v := newVerifier(t, is, c, nil)
	codeOf(v, signer(c, "k1"))
	c.move(59 * time.Minute)
	codeOf(v, signer(c, "k1"))
	if n := is.fetches.Load(); n != 1 {
		t.Fatalf("%d fetches in the first hour", n)
	}
	c.move(2 * time.Minute)
	if got := codeOf(v, signer(c, "k1")); got != "user_1" {
		t.Errorf("got %s", got)
	}
	waitFor(t, "the refresh", func() bool { return is.fetches.Load() == 2 })
}

func waitFor(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited in vain for %s", what)
		}
	}
	time.Sleep(20 * time.Millisecond) // what the fetch found is put in place right behind it
}

func TestJWKS_ParseKeySets(t *testing.T) {
	key, other := keyPair(), otherPair()
	good := publicJWK("k1", key)
	change := func(from, to string) string { return strings.Replace(good, from, to, 1) }
	modulus := func(n []byte) string {
		return fmt.Sprintf(`{"kty":"RSA","kid":"k1","n":%q,"e":"AQAB"}`, b64(n))
	}
	for name, test := range map[string]struct {
		body string
		want string
	}{
		"plain":               {`{"keys":[` + good + `]}`, "user_1"},
		"no use, no alg":      {`{"keys":[` + modulus(key.N.Bytes()) + `]}`, "user_1"},
		"key_ops verify":      {`{"keys":[` + change(`"use":"sig"`, `"key_ops":["verify"]`) + `]}`, "user_1"},
		"among others":        {`{"keys":[{"kty":"EC","kid":"e"},{"kty":"oct","k":"x","kid":"k1"},` + good + `]}`, "user_1"},
		"same key twice":      {`{"keys":[` + good + `,` + good + `]}`, "user_1"},
		"two keys, one id":    {`{"keys":[` + good + `,` + publicJWK("k1", other) + `]}`, "ERR-1205"},
		"three keys, one id":  {`{"keys":[` + good + `,` + publicJWK("k1", other) + `,` + good + `]}`, "ERR-1205"},
		"use enc":             {`{"keys":[` + change(`"sig"`, `"enc"`) + `]}`, "ERR-1205"},
		"key_ops sign":        {`{"keys":[` + change(`"use":"sig"`, `"key_ops":["sign"]`) + `]}`, "ERR-1205"},
		"alg PS256":           {`{"keys":[` + change(`"RS256"`, `"PS256"`) + `]}`, "ERR-1205"},
		"not RSA":             {`{"keys":[` + change(`"RSA"`, `"EC"`) + `]}`, "ERR-1205"},
		"no id":               {`{"keys":[` + change(`"k1"`, `""`) + `]}`, "ERR-1205"},
		"1024 bits":           {`{"keys":[` + modulus(new(big.Int).Lsh(big.NewInt(1), 1023).Bytes()) + `]}`, "ERR-1205"},
		"16384 bits":          {`{"keys":[` + modulus(new(big.Int).Lsh(big.NewInt(1), 16383).Bytes()) + `]}`, "ERR-1205"},
		"exponent 1":          {`{"keys":[` + change(`"AQAB"`, `"AQ"`) + `]}`, "ERR-1205"},
		"even exponent":       {`{"keys":[` + change(`"AQAB"`, `"BA"`) + `]}`, "ERR-1205"},
		"huge exponent":       {`{"keys":[` + change(`"AQAB"`, `"AQAAAAAAAAAB"`) + `]}`, "ERR-1205"},
		"modulus not base64":  {`{"keys":[` + change(`"n":"`, `"n":"*`) + `]}`, "ERR-1205"},
		"exponent not base64": {`{"keys":[` + change(`"AQAB"`, `"A*AB"`) + `]}`, "ERR-1205"},
		"names without case":  {`{"KEYS":[` + good + `]}`, "ERR-1205"},
		"names with U+212A":   {`{"keys":[` + change(`"kid"`, `"\u212aid"`) + `]}`, "ERR-1205"},
		"no keys":             {`{"keys":[]}`, "ERR-1205"},
		"no JSON":             {`<html>`, "ERR-1205"},
		"too long":            {`{"keys":[` + good + `],"x":"` + strings.Repeat("x", 1<<20) + `"}`, "ERR-1205"},
	} {
		t.Run(name, func(t *testing.T) {
			c := newClock()
			is := newIssuer(t)
			is.body.Store(&test.body)
			if got := codeOf(newVerifier(t, is, c, nil), signer(c, "k1")); got != test.want {
				t.Errorf("got %s, want %s", got, test.want)
			}
		})
	}
}

func TestJWKS_FetchRefusesRedirectsAndTimesOut(t *testing.T) {
	c := newClock()
	target := newIssuer(t, publicJWK("k1", keyPair()))
	is := newIssuer(t)
	is.handle(func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, target.URL, http.StatusFound) })
	if got := codeOf(newVerifier(t, is, c, nil), signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("redirect: got %s", got)
	}
	if target.fetches.Load() != 0 {
		t.Error("redirect was followed")
	}
	is.handle(func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() })
	begun := time.Now()
	if got := codeOf(newVerifier(t, is, c, nil), signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("hanging: got %s", got)
	}
	if took := time.Since(begun); took > 20*time.Second { // two, but for a busy machine
		t.Errorf("waited %v for keys", took)
	}
	is.handle(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = w.Write([]byte("{"))
	})
	if got := codeOf(newVerifier(t, is, c, nil), signer(c, "k1")); got != "ERR-1205" {
		t.Errorf("cut off: got %s", got)
	}
}

func TestDevelopmentKeyFile(t *testing.T) {
	if _, err := auth.NewDevelopmentIssuer("/dev/null"); err == nil {
		t.Error("a file as directory was accepted")
	}
}
