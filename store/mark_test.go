package store_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store"
	"github.com/retainwise/millrace/store/storetest"
)

func TestObjectsPutIf(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Objects) {
		first, err := o.PutIf(t.Context(), "a/b", strings.NewReader("first"), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.PutIf(t.Context(), "a/b", strings.NewReader("again"), "")
		wantErr(t, err, store.ErrObjectChanged)
		second, err := o.PutIf(t.Context(), "a/b", strings.NewReader("second"), first.ETag)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.PutIf(t.Context(), "a/b", strings.NewReader("third"), first.ETag)
		wantErr(t, err, store.ErrObjectChanged)
		wantEqual(t, "content", string(get(t, o, "a/b", store.Range{}, second.ETag)), "second")
		_, err = o.PutIf(t.Context(), "../b", strings.NewReader("x"), "")
		wantErr(t, err, store.ErrKey)
		wantEqual(t, "keys", strings.Join(keys(t, o, ""), " "), "a/b")
	})
}

// One of many that replace the same object at the same time may do it.
func TestObjectsPutIfRaces(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Objects) {
		for range 5 {
			old := put(t, o, "a/b", []byte("old"))
			var group sync.WaitGroup
			errs := make([]error, 8)
			for i := range errs {
				group.Go(func() {
					_, errs[i] = o.PutIf(t.Context(), "a/b", strings.NewReader(uuid.NewString()), old.ETag)
				})
			}
			group.Wait()
			done := 0
			for _, err := range errs {
				if err == nil {
					done++
				} else if !errors.Is(err, store.ErrObjectChanged) {
					t.Error(err)
				}
			}
			wantEqual(t, "replacements", done, 1)
		}
	})
}

func TestReadMark(t *testing.T) {
	onBoth(t, func(t *testing.T, o store.Objects) {
		_, _, err := store.ReadMark(t.Context(), o)
		wantErr(t, err, store.ErrNotFound)
		id := uuid.NewString()
		put(t, o, store.MarkKey, []byte(`{"installation":"`+id+`","sweeps":7,"disputed":true}`))
		m, etag, err := store.ReadMark(t.Context(), o)
		if err != nil || m.Installation.String() != id || m.Sweeps != 7 || !m.Disputed || etag == "" {
			t.Errorf("%+v %q %v", m, etag, err)
		}
		for _, content := range []string{
			"", "{}", "x", `{"installation":"00000000-0000-0000-0000-000000000000","sweeps":1}`,
			`{"installation":"` + id + `","sweeps":-1}`, strings.Repeat(" ", 5000) + `{"installation":"` + id + `"}`,
		} {
			put(t, o, store.MarkKey, []byte(content))
			_, _, err := store.ReadMark(t.Context(), o)
			wantErr(t, err, store.ErrMark)
		}
	})
}

func TestReadMarkWithoutBucket(t *testing.T) {
	config := storetest.S3(t)
	config.Bucket += "-mistyped"
	o, err := store.OpenS3(t.Context(), config)
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = store.ReadMark(t.Context(), o)
	wantErr(t, err, store.ErrNoBucket)
	if errors.Is(err, store.ErrNotFound) {
		t.Error("the bucket is missing, not the mark")
	}
}
