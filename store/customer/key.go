// Package customer pseudonymises customers' ids: hashes under a secret that every process of an installation has.
package customer

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
)

// Key is the secret under which customers' ids are hidden wherever they are kept beside their owner's results:
// the hash of an id cannot be guessed without it. Every process of an environment has the same one. Under another key
// the same customer has another hash, so that what was kept before is not found again. The zero value is no key.
type Key struct{ secret []byte }

// SecretMin is how many bytes the secret of a [Key] has at least.
const SecretMin = 32

// NewKey takes a secret of at least [SecretMin] bytes.
func NewKey(secret []byte) (Key, error) {
	if len(secret) < SecretMin {
		return Key{}, errors.New("the customer key is too short")
	}
	return Key{append([]byte(nil), secret...)}, nil
}

// IsZero reports whether there is no key.
func (k Key) IsZero() bool { return len(k.secret) == 0 }

// Hash is the keyed hash of a customer's id, different for each user.
type Hash [16]byte

// Hasher makes the hashes of one user's customers. It may be used by one goroutine at a time. It panics without a key:
// such hashes would hide nothing.
func (k Key) Hasher(userID int64) *Hasher {
	if k.IsZero() {
		panic("customer: no customer key")
	}
	h := &Hasher{mac: hmac.New(sha256.New, k.secret)}
	binary.BigEndian.PutUint64(h.user[:], uint64(userID))
	return h
}

// Hasher hashes customer ids of one user: those of another user have other hashes.
type Hasher struct {
	mac  hash.Hash
	user [8]byte
	sum  [sha256.Size]byte
}

// Hash returns the hash of an id.
func (h *Hasher) Hash(id []byte) Hash {
	h.mac.Reset()
	_, _ = h.mac.Write(h.user[:])
	_, _ = h.mac.Write(id)
	h.mac.Sum(h.sum[:0])
	return Hash(h.sum[:16])
}

// Sampled reports whether the customer hashed last belongs to a sample of this size, 0 to 1. It is the same for every
// file and every attempt; a larger sample holds the smaller ones. It uses bits that are not part of the hash.
func (h *Hasher) Sampled(rate float32) bool {
	return float64(binary.BigEndian.Uint32(h.sum[16:])) < float64(rate)*(1<<32)
}
