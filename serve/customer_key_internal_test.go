package serve

import (
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/store/customer"
)

func TestCustomerKey_Persists(t *testing.T) {
	dir := t.TempDir()
	keys := make([]customer.Key, 8)
	var group sync.WaitGroup
	for i := range keys { // several processes start at once
		group.Go(func() {
			var err error
			if keys[i], err = openCustomerKey("", dir); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	want := keys[0].Hasher(1).Hash([]byte("x"))
	for _, key := range keys {
		if key.Hasher(1).Hash([]byte("x")) != want {
			t.Fatal("two keys in one directory")
		}
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) != 1 {
		t.Errorf("%v, %v", files, err)
	}
	given, err := openCustomerKey(strings.Repeat("s", customer.SecretMin), dir)
	if err != nil || given.Hasher(1).Hash([]byte("x")) == want {
		t.Errorf("the given secret is not used: %v", err)
	}
}

func TestCustomerKey_Refused(t *testing.T) {
	if _, err := openCustomerKey("short", t.TempDir()); err == nil {
		t.Error("a short secret")
	}
	if _, err := openCustomerKey("", filepath.Join(t.TempDir(), "absent")); err == nil {
		t.Error("no directory")
	}
	dir := t.TempDir()
	path := filepath.Join(dir, customerKeyFile)
	if err := os.WriteFile(path, []byte(strings.Repeat("s", customer.SecretMin)), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := openCustomerKey("", dir); err == nil {
		t.Error("a secret that others can read")
	}
	if err := os.WriteFile(path, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(path, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := openCustomerKey("", dir); err == nil {
		t.Error("an empty file")
	}
}
