package auth

import (
	"context"
	"crypto/rsa"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"net/url"
	"slices"
	"sync"
	"time"

	"github.com/retainwise/millrace/serve/internal/fault"
	"github.com/retainwise/millrace/serve/internal/strictjson"
)

const (
	keysFreshFor     = time.Hour        // age at which keys are fetched again
	keysStaleFor     = 24 * time.Hour   // how long old keys are used while fetching fails
	keysRefreshEvery = 30 * time.Second // shortest interval of fetches for a key that is not in the set
	keysRetryEvery   = time.Second      // shortest interval of fetches while there are no keys
	keysTimeout      = 2 * time.Second
	keysBytesMax     = 1 << 20
	kidsAskedMax     = 1024 // key ids that are remembered as not in the set
)

// errKeysUnavailable means that a token cannot be verified now: no usable signing keys, and the fetch failed.
var errKeysUnavailable = errors.New("signing keys are not available")

// Base64url is the encoding of tokens, keys and cursors: unpadded and strict.
var Base64url = base64.RawURLEncoding.Strict()

// keySet holds the public keys of an issuer. At most one fetch runs at a time and every waiting request shares it.
type keySet struct {
	ctx    context.Context
	url    string
	client *http.Client
	now    func() time.Time

	mu        sync.Mutex
	keys      map[string]*rsa.PublicKey
	fetched   time.Time      // when keys was fetched
	LastFetch time.Time      // when the last fetch began
	failed    error          // error of the last fetch
	fetching  chan struct{}  // closed when the fetch in flight ends; nil: none is
	begun     int            // fetches
	done      int            // the last fetch that has succeeded, counted from 1
	asked     map[string]int // key ids that were not in the set, with the fetches begun by then; at most kidsAskedMax
}

// pendingKeyError means that a token names a key which is not in the set, and that the set was fetched too short a time
// ago to be fetched again: the key may be new.
type pendingKeyError struct{ wait time.Duration }

func (e *pendingKeyError) Error() string { return "token names a key that is not known yet" }

func newKeySet(ctx context.Context, address string, client *http.Client, now func() time.Time) (*keySet, error) {
	u, err := url.Parse(address)
	if err != nil || u.Host == "" {
		return nil, errors.New("address of the signing keys is no URL")
	}
	if u.Scheme != "https" && (u.Scheme != "http" || !isLoopback(u.Hostname())) {
		return nil, errors.New("address of the signing keys must be https")
	}
	if client == nil {
		client = &http.Client{}
	}
	own := *client
	own.Timeout = keysTimeout
	own.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &keySet{ctx: ctx, url: address, client: &own, now: now, asked: map[string]int{}}, nil
}

func isLoopback(host string) bool {
	ip := net.ParseIP(host)
	return host == "localhost" || ip != nil && ip.IsLoopback()
}

// key returns the public key with an id. It fetches the set when there is none, when it is old, and, at most every
// keysRefreshEvery, when it does not have the key. A key is unknown when a fetch that began after it was first asked for
// did not bring it; before, the error is a [pendingKeyError].
func (k *keySet) key(ctx context.Context, kid string) (*rsa.PublicKey, error) {
	for waited := false; ; waited = true {
		k.mu.Lock()
		key, wait := k.lookup(kid, waited)
		failed, usable := k.failed, k.usable()
		unknown, pause := k.done > k.asked[kid], keysRefreshEvery-k.now().Sub(k.LastFetch)
		k.mu.Unlock()
		switch {
		case key != nil:
			return key, nil
		case wait == nil && (!usable || failed != nil):
			return nil, errors.Join(errKeysUnavailable, failed)
		case wait == nil && unknown:
			return nil, errors.New("token names an unknown key")
		case wait == nil:
			return nil, &pendingKeyError{max(pause, time.Second)}
		}
		select {
		case <-wait:
		case <-ctx.Done():
			return nil, errors.Join(errKeysUnavailable, ctx.Err())
		}
	}
}

// lookup finds a key and starts a fetch if one is due. A nil key with a channel means: wait for the fetch, then look again.
func (k *keySet) lookup(kid string, waited bool) (*rsa.PublicKey, <-chan struct{}) {
	age := k.now().Sub(k.fetched)
	since := k.now().Sub(k.LastFetch)
	if key := k.keys[kid]; key != nil && k.usable() {
		if age > keysFreshFor && since > keysRefreshEvery {
			k.startFetch()
		}
		return key, nil
	}
	k.remember(kid)
	if k.fetching == nil && !waited {
		pause := keysRefreshEvery
		if !k.usable() {
			pause = keysRetryEvery
		}
		if k.LastFetch.IsZero() || since > pause {
			k.startFetch()
		}
	}
	if k.fetching == nil {
		return nil, nil
	}
	return nil, k.fetching
}

// remember records when a key that is not in the set was asked for first, in place of any other if there are too many.
func (k *keySet) remember(kid string) {
	if _, known := k.asked[kid]; known {
		return
	}
	for other := range k.asked {
		if len(k.asked) < kidsAskedMax {
			break
		}
		delete(k.asked, other)
	}
	k.asked[kid] = k.begun
}

func (k *keySet) usable() bool { return k.keys != nil && k.now().Sub(k.fetched) <= keysStaleFor }

// startFetch starts a fetch unless one is running. k.mu must be held. The fetch outlives the request that started it.
func (k *keySet) startFetch() {
	if k.fetching != nil {
		return
	}
	done := make(chan struct{})
	k.fetching, k.LastFetch = done, k.now()
	k.begun++
	number := k.begun
	go func() {
		var keys map[string]*rsa.PublicKey
		err := fault.Recover(func() (err error) {
			keys, err = k.fetch()
			return err
		})
		k.mu.Lock()
		defer k.mu.Unlock()
		k.fetching, k.failed = nil, err
		if err == nil {
			k.keys, k.fetched, k.done = keys, k.now(), number
		}
		close(done)
	}()
}

func (k *keySet) fetch() (map[string]*rsa.PublicKey, error) {
	ctx, cancel := context.WithTimeout(k.ctx, keysTimeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, k.url, nil)
	if err != nil {
		return nil, fmt.Errorf("request signing keys: %w", err)
	}
	resp, err := k.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("fetch signing keys: %w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("fetch signing keys: status %d", resp.StatusCode)
	}
	text, err := io.ReadAll(io.LimitReader(resp.Body, keysBytesMax+1))
	if err != nil {
		return nil, fmt.Errorf("read signing keys: %w", err)
	}
	if len(text) > keysBytesMax {
		return nil, errors.New("read signing keys: answer is too long")
	}
	return parseKeys(text)
}

// jwk is one key of a set. Its URLs and certificates are ignored.
type jwk struct {
	Type       string   `json:"kty"`
	Use        string   `json:"use,omitempty"`
	Operations []string `json:"key_ops,omitempty"`
	Algorithm  string   `json:"alg,omitempty"`
	ID         string   `json:"kid"`
	Modulus    string   `json:"n"`
	Exponent   string   `json:"e"`
}

// UnmarshalJSON compares names exactly (RFC 7517, section 4).
func (j *jwk) UnmarshalJSON(text []byte) error {
	return strictjson.Decode(text, map[string]any{
		"kty": &j.Type, "use": &j.Use, "key_ops": &j.Operations, "alg": &j.Algorithm, "kid": &j.ID, "n": &j.Modulus,
		"e": &j.Exponent,
	}, false)
}

type jwkSet struct {
	Keys []jwk `json:"keys"`
}

// parseKeys reads the RS256 keys of a set by id. Keys for other uses are skipped, and so are different keys with the same
// id.
func parseKeys(text []byte) (map[string]*rsa.PublicKey, error) {
	var set jwkSet
	if err := strictjson.Decode(text, map[string]any{"keys": &set.Keys}, false); err != nil {
		return nil, fmt.Errorf("decode signing keys: %w", err)
	}
	keys := make(map[string]*rsa.PublicKey, len(set.Keys))
	for _, j := range set.Keys {
		key := j.publicKey()
		if key == nil {
			continue
		}
		if other, twice := keys[j.ID]; twice && (other == nil || !key.Equal(other)) {
			key = nil
		}
		keys[j.ID] = key
	}
	for id, key := range keys {
		if key == nil {
			delete(keys, id)
		}
	}
	if len(keys) == 0 {
		return nil, errors.New("decode signing keys: no key for RS256")
	}
	return keys, nil
}

// publicKey returns the key, or nil if it does not verify RS256 signatures.
func (j jwk) publicKey() *rsa.PublicKey {
	signs := (j.Use == "" || j.Use == "sig") && (j.Algorithm == "" || j.Algorithm == "RS256") &&
		(len(j.Operations) == 0 || slices.Contains(j.Operations, "verify"))
	if j.Type != "RSA" || !signs || j.ID == "" {
		return nil
	}
	n, errN := Base64url.DecodeString(j.Modulus)
	e, errE := Base64url.DecodeString(j.Exponent)
	if errN != nil || errE != nil || len(e) > 4 {
		return nil
	}
	key := &rsa.PublicKey{N: new(big.Int).SetBytes(n), E: int(new(big.Int).SetBytes(e).Int64())}
	if bits := key.N.BitLen(); bits < 2048 || bits > 8192 || key.E < 3 || key.E%2 == 0 {
		return nil
	}
	return key
}
