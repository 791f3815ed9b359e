package objects_test

import (
	"errors"
	"strings"
	"sync"
	"testing"

	"github.com/google/uuid"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

func TestObjectsPutIf(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		first, err := o.PutIf(t.Context(), "a/b", strings.NewReader("first"), "")
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.PutIf(t.Context(), "a/b", strings.NewReader("again"), "")
		wantErr(t, err, objects.ErrChanged)
		second, err := o.PutIf(t.Context(), "a/b", strings.NewReader("second"), first.ETag)
		if err != nil {
			t.Fatal(err)
		}
		_, err = o.PutIf(t.Context(), "a/b", strings.NewReader("third"), first.ETag)
		wantErr(t, err, objects.ErrChanged)
		wantEqual(t, "content", string(storetest.GetObject(t, o, "a/b", objects.Range{}, second.ETag)), "second")
		_, err = o.PutIf(t.Context(), "../b", strings.NewReader("x"), "")
		wantErr(t, err, objects.ErrKey)
		wantEqual(t, "keys", strings.Join(storetest.Keys(t, o, ""), " "), "a/b")
	})
}

// One of many that replace the same object at the same time may do it.
func TestObjectsPutIfRaces(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		for range 5 {
			old := storetest.PutObject(t, o, "a/b", []byte("old"))
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
				} else if !errors.Is(err, objects.ErrChanged) {
					t.Error(err)
				}
			}
			wantEqual(t, "replacements", done, 1)
		}
	})
}

func TestReadMark(t *testing.T) {
	storetest.EachObjectStore(t, func(t *testing.T, o objects.Store) {
		_, _, err := objects.ReadMark(t.Context(), o)
		wantErr(t, err, objects.ErrNotFound)
		id := uuid.NewString()
		storetest.PutObject(t, o, objects.MarkKey, []byte(`{"installation":"`+id+`","sweeps":7,"disputed":true}`))
		m, etag, err := objects.ReadMark(t.Context(), o)
		if err != nil || m.Installation.String() != id || m.Sweeps != 7 || !m.Disputed || etag == "" {
			t.Errorf("%+v %q %v", m, etag, err)
		}
		for _, content := range []string{
			"", "{}", "x", `{"installation":"00000000-0000-0000-0000-000000000000","sweeps":1}`,
			`{"installation":"` + id + `","sweeps":-1}`, strings.Repeat(" ", 5000) + `{"installation":"` + id + `"}`,
		} {
			storetest.PutObject(t, o, objects.MarkKey, []byte(content))
			_, _, err := objects.ReadMark(t.Context(), o)
			wantErr(t, err, objects.ErrMark)
		}
	})
}

func TestReadMarkWithoutBucket(t *testing.T) {
	for _, mistyped := range []string{"no-such-bucket", "bu", "Bucket_"} { // the last two are no names of buckets
		config := storetest.S3(t)
		config.Bucket = mistyped
		o, err := objects.OpenS3(t.Context(), config)
		if err != nil {
			t.Fatal(err)
		}
		_, _, err = objects.ReadMark(t.Context(), o)
		wantErr(t, err, objects.ErrNoBucket)
		if errors.Is(err, objects.ErrNotFound) {
			t.Errorf("%s: the bucket is missing, not the mark", mistyped)
		}
	}
}
