package storetest

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"path/filepath"
	"testing"

	"github.com/retainwise/millrace/store/objects"
)

// EachObjectStore runs a test on a directory and on a bucket: both must behave the same.
func EachObjectStore(t *testing.T, test func(t *testing.T, o objects.Store)) {
	t.Helper()
	t.Run("directory", func(t *testing.T) {
		o, err := objects.OpenDirectory(filepath.Join(t.TempDir(), "objects"))
		if err != nil {
			t.Fatal(err)
		}
		test(t, o)
	})
	t.Run("s3", func(t *testing.T) {
		o, err := objects.OpenS3(t.Context(), S3(t))
		if err != nil {
			t.Fatal(err)
		}
		test(t, o)
	})
}

// PutObject stores an object.
func PutObject(t testing.TB, o objects.Store, key string, content []byte) objects.Info {
	t.Helper()
	info, err := o.Put(t.Context(), key, bytes.NewReader(content))
	if err != nil {
		t.Fatal(err)
	}
	return info
}

// Sources returns objects without their digests, as the parts of one that is composed.
func Sources(keys ...string) []objects.Source {
	list := make([]objects.Source, len(keys))
	for i, key := range keys {
		list[i].Key = key
	}
	return list
}

// GetObject returns the content of an object, or of a range of it.
func GetObject(t testing.TB, o objects.Store, key string, r objects.Range, ifMatch string) []byte {
	t.Helper()
	body, _, err := o.Get(t.Context(), key, r, ifMatch)
	if err != nil {
		t.Fatal(err)
	}
	content, err := io.ReadAll(body)
	if err := errors.Join(err, body.Close()); err != nil {
		t.Fatal(err)
	}
	return content
}

// Keys lists the keys that begin with prefix.
func Keys(t testing.TB, o objects.Store, prefix string) []string {
	t.Helper()
	var list []string
	for info, err := range o.List(t.Context(), prefix) {
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, info.Key)
	}
	return list
}

// Pattern returns n bytes of fixed content without repetition.
func Pattern(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}
