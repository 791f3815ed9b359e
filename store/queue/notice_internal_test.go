package queue

import (
	"strings"
	"testing"

	"github.com/google/uuid"
)

func TestParseNotice(t *testing.T) {
	id := uuid.MustParse("019a0000-0000-7000-8000-000000000001")
	record := func(name, bucket, object string) string {
		return `{"Records":[{"eventSource":"aws:s3","eventName":"` + name + `","s3":{"bucket":{"name":"` + bucket +
			`"},"object":` + object + `}}]}`
	}
	event := func(e ObjectEvent) *Notice { return &Notice{Objects: []ObjectEvent{e}} }
	for name, c := range map[string]struct {
		body string
		want *Notice // nil: an error
	}{
		"ours":       {`{"prediction_id":"` + id.String() + `"}`, &Notice{Prediction: id}},
		"test event": {`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}`, &Notice{}},
		"created": {
			record("ObjectCreated:Put", "b", `{"key":"inbox/a.csv","size":5,"eTag":"e1","versionId":"v1","sequencer":"0"}`),
			event(ObjectEvent{Bucket: "b", Key: "inbox/a.csv", Version: "v1", ETag: `"e1"`, Bytes: 5}),
		},
		"escaped key": {
			record("s3:ObjectCreated:CompleteMultipartUpload", "b", `{"key":"inbox/M%C3%A4rz+1%2B1.csv","eTag":"\"e-2\""}`),
			event(ObjectEvent{Bucket: "b", Key: "inbox/März 1+1.csv", Version: `"e-2"`, ETag: `"e-2"`}),
		},
		"removed":      {record("ObjectRemoved:Delete", "b", `{"key":"inbox/a.csv","eTag":"e"}`), &Notice{}},
		"bad escape":   {record("ObjectCreated:Put", "b", `{"key":"inbox/%zz","eTag":"e"}`), nil},
		"no version":   {record("ObjectCreated:Put", "b", `{"key":"inbox/a.csv"}`), nil},
		"no bucket":    {record("ObjectCreated:Put", "", `{"key":"inbox/a.csv","eTag":"e"}`), nil},
		"no key":       {record("ObjectCreated:Put", "b", `{"eTag":"e"}`), nil},
		"no JSON":      {`prediction`, nil},
		"another JSON": {`{"hello":"world"}`, nil},
		"a list":       {`[]`, nil},
		"empty":        {``, nil},
		"no uuid":      {`{"prediction_id":"../../etc"}`, nil},
		"null":         {`null`, nil},
	} {
		got, err := parseNotice(c.body)
		if (err == nil) != (c.want != nil) {
			t.Errorf("%s: %+v, %v", name, got, err)
			continue
		}
		if err == nil && (got.Prediction != c.want.Prediction || len(got.Objects) != len(c.want.Objects) ||
			len(got.Objects) == 1 && got.Objects[0] != c.want.Objects[0]) {
			t.Errorf("%s: %+v", name, got)
		}
		if err != nil && strings.Contains(err.Error(), "etc") {
			t.Errorf("%s: the error repeats the message: %v", name, err)
		}
	}
}

func FuzzParseNotice(f *testing.F) {
	f.Add(`{"prediction_id":"019a0000-0000-7000-8000-000000000001"}`)
	f.Add(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k","eTag":"e"}}}]}`)
	f.Fuzz(func(t *testing.T, body string) {
		n, err := parseNotice(body)
		for _, o := range n.Objects {
			if err != nil || o.Bucket == "" || o.Key == "" || o.Version == "" {
				t.Errorf("%+v, %v", n, err)
			}
		}
	})
}
