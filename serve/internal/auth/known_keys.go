package auth

import (
	"sync"
	"time"
)

// KnownKeys remembers what the database said of access keys, by the SHA-256 of their secrets, so that requests which are
// refused anyway need not ask it again. It grants nothing: a key that was valid is still looked up. It is safe for
// concurrent use, and its size is bounded.
type KnownKeys struct {
	now  func() time.Time
	mu   sync.Mutex
	keys map[[32]byte]knownKey
}

type knownKey struct {
	subject string // empty: there is no such key
	until   time.Time
}

const (
	keysKnownMax = 10_000
	keysKnownFor = time.Minute
)

// NewKnownKeys returns an empty memory. A nil now means time.Now.
func NewKnownKeys(now func() time.Time) *KnownKeys {
	if now == nil {
		now = time.Now
	}
	return &KnownKeys{now: now, keys: map[[32]byte]knownKey{}}
}

// Find returns the subject of a key that was valid a minute ago at most; unknown is true if there was no such key.
func (k *KnownKeys) Find(secret [32]byte) (subject string, unknown bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	known, ok := k.keys[secret]
	if !ok || k.now().After(known.until) {
		return "", false
	}
	return known.subject, known.subject == ""
}

// Remember records the subject of a valid key; an empty one means that there is no such key. In a full memory it takes the
// place of any other.
func (k *KnownKeys) Remember(secret [32]byte, subject string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if _, there := k.keys[secret]; !there {
		for other := range k.keys {
			if len(k.keys) < keysKnownMax {
				break
			}
			delete(k.keys, other)
		}
	}
	k.keys[secret] = knownKey{subject, k.now().Add(keysKnownFor)}
}
