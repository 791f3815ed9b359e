package objects_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// TestS3PutIf_WithoutConditionalWrites has a server that refuses conditional writes, as older ones do: the ETag is compared
// all the same. Where two such writes meet, one is [objects.ErrChanged].
func TestS3PutIf_WithoutConditionalWrites(t *testing.T) {
	conditional := func(r *http.Request) bool {
		return r.Method == http.MethodPut && (r.Header.Get("If-Match") != "" || r.Header.Get("If-None-Match") != "")
	}
	for name, c := range map[string]struct {
		status int
		code   string
		works  bool
	}{
		"not implemented":  {http.StatusNotImplemented, "NotImplemented", true},
		"another is ahead": {http.StatusConflict, "ConditionalRequestConflict", false},
	} {
		t.Run(name, func(t *testing.T) {
			faults, config := storetest.NewFaults(t, storetest.S3(t))
			config.RetryPause = time.Millisecond
			o, err := objects.OpenS3(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			faults.Answer(func(r *http.Request) (int, string) {
				if conditional(r) {
					return c.status, c.code
				}
				return 0, ""
			})
			put := func(text, etag string) (objects.Info, error) {
				return o.PutIf(t.Context(), "a/b", strings.NewReader(text), etag)
			}
			first, err := put("first", "")
			if !c.works {
				wantErr(t, err, objects.ErrChanged)
				wantEqual(t, "objects", len(storetest.Keys(t, o, "")), 0)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			for _, etag := range []string{"", `"another"`} {
				_, err := put("second", etag)
				wantErr(t, err, objects.ErrChanged)
			}
			second, err := put("second", first.ETag)
			if err != nil || second.ETag == first.ETag {
				t.Errorf("%+v, then %+v: %v", first, second, err)
			}
			_, err = put("third", first.ETag)
			wantErr(t, err, objects.ErrChanged)
			wantEqual(t, "content", string(storetest.GetObject(t, o, "a/b", objects.Range{}, second.ETag)), "second")
			faults.All(http.StatusForbidden, "AccessDenied")
			if _, err := put("fourth", second.ETag); err == nil {
				t.Error("put though everything is refused")
			}
		})
	}
}
