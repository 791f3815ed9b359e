package objects_test

import (
	"bytes"
	"net/http"
	"strings"
	"sync"
	"testing"

	"github.com/retainwise/millrace/store/objects"
	"github.com/retainwise/millrace/store/storetest"
)

// Puts in one piece and in parts, joined objects and reads carry the checksums that the flag says, or without it AWS's own
// variables, and a server that rejects the others stores and gives the same bytes.
func TestS3Checksums(t *testing.T) {
	for name, test := range map[string]struct {
		checksums objects.Checksums
		variable  string // of AWS
		sent      bool
	}{
		"default":                    {sent: true},
		"variable":                   {variable: "when_required"},
		"variable, supported":        {variable: "when_supported", sent: true},
		"flag":                       {checksums: objects.ChecksumsWhenRequired},
		"flag over variable":         {checksums: objects.ChecksumsWhenSupported, variable: "when_required", sent: true},
		"flag over variable, no sum": {checksums: objects.ChecksumsWhenRequired, variable: "when_supported"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("AWS_REQUEST_CHECKSUM_CALCULATION", test.variable)
			t.Setenv("AWS_RESPONSE_CHECKSUM_VALIDATION", test.variable)
			faults, config := storetest.NewFaults(t, storetest.S3(t))
			config.Checksums = test.checksums
			o, err := objects.OpenS3(t.Context(), config)
			if err != nil {
				t.Fatal(err)
			}
			with, without := strictServer(faults, !test.sent)
			content := storetest.Pattern(20 << 20) // more than one part
			storetest.PutObject(t, o, "a/small", content[:100])
			storetest.PutObject(t, o, "a/large", content)
			info, err := o.Compose(t.Context(), "a/joined", []objects.Source{{Key: "a/large"}, {Key: "a/small"}})
			if err != nil {
				t.Fatal(err)
			}
			got := storetest.GetObject(t, o, "a/joined", objects.Range{}, info.ETag)
			if !bytes.Equal(got, append(bytes.Clone(content), content[:100]...)) {
				t.Errorf("%d bytes come back", len(got))
			}
			if err := o.Delete(t.Context(), objects.Deleted, "a/small", "a/large", "a/joined"); err != nil {
				t.Error(err)
			}
			if a, b := with(), without(); test.sent != (a > 0) || test.sent != (b == 0) || a+b < 5 {
				t.Errorf("%d requests with and %d without a checksum", a, b)
			}
		})
	}
}

// strictServer counts the requests that may carry a checksum by whether they do. A strict one rejects those that do.
func strictServer(f *storetest.Faults, strict bool) (with, without func() int) {
	var lock sync.Mutex
	count := map[bool]int{}
	f.Answer(func(r *http.Request) (int, string) {
		q := r.URL.Query()
		optional := r.Method == http.MethodPut && r.Header.Get("X-Amz-Copy-Source") == "" || r.Method == http.MethodGet && q.Get("list-type") == ""
		if !optional {
			return 0, ""
		}
		sum := false
		for name, values := range r.Header {
			name, value := strings.ToLower(name), strings.ToLower(strings.Join(values, ","))
			sum = sum || strings.HasPrefix(name, "x-amz-checksum-") || name == "x-amz-trailer" || name == "x-amz-sdk-checksum-algorithm" ||
				strings.Contains(value, "-trailer")
		}
		lock.Lock()
		defer lock.Unlock()
		count[sum]++
		if sum && strict {
			return http.StatusNotImplemented, "NotImplemented"
		}
		return 0, ""
	})
	counted := func(sum bool) func() int {
		return func() int {
			lock.Lock()
			defer lock.Unlock()
			return count[sum]
		}
	}
	return counted(true), counted(false)
}
