package auth

import (
	"encoding/binary"
	"testing"
	"time"
)

func TestKnownKeys(t *testing.T) {
	now := time.Unix(1e9, 0)
	k := NewKnownKeys(func() time.Time { return now })
	good, bad, other := [32]byte{1}, [32]byte{2}, [32]byte{3}
	k.Remember(good, "user_1")
	k.Remember(bad, "")
	want := func(secret [32]byte, subject string, unknown bool) {
		t.Helper()
		if s, u := k.Find(secret); s != subject || u != unknown {
			t.Errorf("key %d: %q, %t", secret[0], s, u)
		}
	}
	want(good, "user_1", false)
	want(bad, "", true)
	want(other, "", false)
	k.Remember(good, "") // revoked
	want(good, "", true)
	now = now.Add(keysKnownFor + time.Second)
	want(good, "", false)
	want(bad, "", false)
}

// TestKnownKeys_BoundedMemory floods the memory with keys.
func TestKnownKeys_BoundedMemory(t *testing.T) {
	k := NewKnownKeys(nil)
	var secret [32]byte
	for i := range uint64(3 * keysKnownMax) {
		binary.BigEndian.PutUint64(secret[:], i)
		k.Remember(secret, "")
		k.Remember(secret, "")
	}
	if n := len(k.keys); n != keysKnownMax {
		t.Errorf("%d keys remembered", n)
	}
	if _, unknown := k.Find(secret); !unknown {
		t.Error("the last key is not remembered")
	}
}
