package store

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"hash"
)

// CustomerKey is the secret under which customers' ids are hidden wherever they are kept beside their owner's results:
// the hash of an id cannot be guessed without it. Every process of an environment has the same one. Under another key
// the same customer has another hash, so that what was kept before is not found again. The zero value is no key.
type CustomerKey struct{ secret []byte }

// CustomerSecretMin is how many bytes the secret of a [CustomerKey] has at least.
const CustomerSecretMin = 32

// NewCustomerKey takes a secret of at least [CustomerSecretMin] bytes.
func NewCustomerKey(secret []byte) (CustomerKey, error) {
	if len(secret) < CustomerSecretMin {
		return CustomerKey{}, errors.New("the customer key is too short")
	}
	return CustomerKey{append([]byte(nil), secret...)}, nil
}

// IsZero says that there is no key.
func (k CustomerKey) IsZero() bool { return len(k.secret) == 0 }

// CustomerHash stands for a customer of one user.
type CustomerHash [16]byte

// Hasher makes the hashes of one user's customers. It may be used by one goroutine at a time. It panics without a key:
// such hashes would hide nothing.
func (k CustomerKey) Hasher(userID int64) *CustomerHasher {
	if k.IsZero() {
		panic("store: no customer key")
	}
	h := &CustomerHasher{mac: hmac.New(sha256.New, k.secret)}
	binary.BigEndian.PutUint64(h.user[:], uint64(userID))
	return h
}

// CustomerHasher hashes customer ids of one user: those of another user have other hashes.
type CustomerHasher struct {
	mac  hash.Hash
	user [8]byte
	sum  [sha256.Size]byte
}

// Hash hides an id.
func (h *CustomerHasher) Hash(id []byte) CustomerHash {
	h.mac.Reset()
	_, _ = h.mac.Write(h.user[:])
	_, _ = h.mac.Write(id)
	h.mac.Sum(h.sum[:0])
	return CustomerHash(h.sum[:16])
}

// sampled says whether the customer hashed last belongs to a sample of this size, 0 to 1. It is the same for every file
// and every attempt; a larger sample holds the smaller ones. It looks at bits that the hash leaves out.
func (h *CustomerHasher) sampled(rate float32) bool {
	return float64(binary.BigEndian.Uint32(h.sum[16:])) < float64(rate)*(1<<32)
}
