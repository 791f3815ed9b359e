package queue

import (
	"encoding/json"
	"reflect"
	"strings"
	"testing"

	"github.com/google/uuid"
)

// s3Record is a record of an S3 notification as S3 sends it.
func s3Record(name, bucket, object string) string {
	return `{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"eu-west-1","eventTime":"2026-11-30T00:00:00.000Z",` +
		`"eventName":"` + name + `","userIdentity":{"principalId":"A"},"requestParameters":{"sourceIPAddress":"10.0.0.1"},` +
		`"s3":{"s3SchemaVersion":"1.0","configurationId":"inbox","bucket":{"name":"` + bucket +
		`","arn":"arn:aws:s3:::b"},"object":` + object + `}}`
}

func records(list ...string) string { return `{"Records":[` + strings.Join(list, ",") + `]}` }

// snsEnvelope is what SNS puts around a message unless delivery is raw.
func snsEnvelope(t *testing.T, message string) string {
	t.Helper()
	body, err := json.Marshal(map[string]any{
		"Type": "Notification", "MessageId": "22b80b92-fdea-4c2c-8f9d-bdfb0c7bf324", "Message": message,
		"TopicArn": "arn:aws:sns:eu-west-1:1:inbox", "Subject": "Amazon S3 Notification", "SignatureVersion": "1",
		"Timestamp": "2026-11-30T00:00:00.000Z", "Signature": "x", "SigningCertURL": "x", "UnsubscribeURL": "x",
	})
	if err != nil {
		t.Fatal(err)
	}
	return string(body)
}

// eventBridge is an event of EventBridge as S3 sends it.
func eventBridge(kind, detail string) string {
	return `{"version":"0","id":"17793124-05d4-b198-2fde-7ededc63b103","detail-type":"` + kind + `","source":"aws.s3",` +
		`"account":"1","time":"2026-11-30T00:00:00Z","region":"eu-west-1","resources":["arn:aws:s3:::b"],"detail":` + detail + `}`
}

func TestParseNotice(t *testing.T) {
	id := uuid.MustParse("019a0000-0000-7000-8000-000000000001")
	event := func(list ...ObjectEvent) Notice { return Notice{Objects: list} }
	unclear := func(list ...Reason) Notice { return Notice{Unclear: list} }
	put := s3Record("ObjectCreated:Put", "b", `{"key":"inbox/u/a.csv","size":5,"eTag":"e1","versionId":"v1","sequencer":"0"}`)
	created := eventBridge("Object Created", `{"version":"0","bucket":{"name":"b"},"object":{"key":"inbox/u/50% + März.csv",`+
		`"size":5,"etag":"e1","version-id":"v1","sequencer":"0"},"request-id":"r","requester":"1","reason":"PutObject"}`)
	bridged := ObjectEvent{Bucket: "b", Key: "inbox/u/50% + März.csv", Version: "v1"}
	for name, c := range map[string]struct {
		body string
		want Notice
	}{
		"ours":       {`{"prediction_id":"` + id.String() + `"}`, Notice{Prediction: id}},
		"test event": {`{"Service":"Amazon S3","Event":"s3:TestEvent","Bucket":"b"}`, Notice{}},
		"created":    {records(put), event(ObjectEvent{Bucket: "b", Key: "inbox/u/a.csv", Version: "v1"})},
		"escaped key, no version": {
			records(s3Record("s3:ObjectCreated:CompleteMultipartUpload", "b", `{"key":"inbox/M%C3%A4rz+1%2B1.csv","eTag":"e-2"}`)),
			event(ObjectEvent{Bucket: "b", Key: "inbox/März 1+1.csv"}),
		},
		"several records": {
			records(put, s3Record("ObjectRemoved:Delete", "b", `{"key":"inbox/u/b.csv"}`),
				s3Record("ObjectCreated:Copy", "b", `{"key":"inbox/%zz"}`), s3Record("ObjectCreated:Post", "b", `{"key":"inbox/u/c.csv"}`)),
			Notice{
				Objects: []ObjectEvent{{Bucket: "b", Key: "inbox/u/a.csv", Version: "v1"}, {Bucket: "b", Key: "inbox/u/c.csv"}},
				Unclear: []Reason{KeyEncoding},
			},
		},
		"NUL in the key":  {records(s3Record("ObjectCreated:Put", "b", `{"key":"inbox/u/a%00b.csv"}`)), event(ObjectEvent{Bucket: "b", Key: "inbox/u/a\x00b.csv"})},
		"removed":         {records(s3Record("ObjectRemoved:Delete", "b", `{"key":"inbox/a.csv","eTag":"e"}`)), Notice{}},
		"no bucket":       {records(s3Record("ObjectCreated:Put", "", `{"key":"inbox/a.csv","eTag":"e"}`)), unclear(Incomplete)},
		"no key":          {records(s3Record("ObjectCreated:Put", "b", `{"eTag":"e"}`)), unclear(Incomplete)},
		"SNS":             {snsEnvelope(t, records(put)), event(ObjectEvent{Bucket: "b", Key: "inbox/u/a.csv", Version: "v1"})},
		"SNS test event":  {snsEnvelope(t, `{"Service":"Amazon S3","Event":"s3:TestEvent"}`), Notice{}},
		"SNS EventBridge": {snsEnvelope(t, created), event(bridged)},
		"SNS of a person": {snsEnvelope(t, "hello"), unclear(NotJSON)},
		"SNS in SNS":      {snsEnvelope(t, snsEnvelope(t, records(put))), unclear(UnknownForm)},
		"SNS subscription": {
			`{"Type":"SubscriptionConfirmation","Message":"You have chosen","SubscribeURL":"x"}`, unclear(UnknownForm),
		},
		"EventBridge":            {created, event(bridged)},
		"EventBridge, removed":   {eventBridge("Object Deleted", `{"bucket":{"name":"b"},"object":{"key":"inbox/u/a.csv"}}`), Notice{}},
		"EventBridge, no key":    {eventBridge("Object Created", `{"bucket":{"name":"b"},"object":{}}`), unclear(Incomplete)},
		"EventBridge, of others": {`{"source":"aws.ec2","detail-type":"Object Created","detail":{}}`, unclear(UnknownForm)},
		"no JSON":                {`prediction`, unclear(NotJSON)},
		"another JSON":           {`{"hello":"world"}`, unclear(UnknownForm)},
		"a list":                 {`[]`, unclear(NotJSON)},
		"empty":                  {``, unclear(NotJSON)},
		"no uuid":                {`{"prediction_id":"../../etc"}`, unclear(NotJSON)},
		"null":                   {`null`, unclear(UnknownForm)},
	} {
		if got := parseNotice(c.body); !reflect.DeepEqual(got, c.want) {
			t.Errorf("%s: got %+v, want %+v", name, got, c.want)
		}
	}
}

// Every prefix of a message is set aside, and none is taken for another message.
func TestParseNotice_Prefixes(t *testing.T) {
	for _, body := range []string{
		records(s3Record("ObjectCreated:Put", "b", `{"key":"inbox/u/a.csv"}`)),
		snsEnvelope(t, records(s3Record("ObjectCreated:Put", "b", `{"key":"inbox/u/a.csv"}`))),
		eventBridge("Object Created", `{"bucket":{"name":"b"},"object":{"key":"inbox/u/a.csv"}}`),
	} {
		for i := range body {
			if n := parseNotice(body[:i]); !reflect.DeepEqual(n, Notice{Unclear: []Reason{NotJSON}}) {
				t.Fatalf("%q: %+v", body[:i], n)
			}
		}
	}
}

func FuzzParseNotice(f *testing.F) {
	f.Add(`{"prediction_id":"019a0000-0000-7000-8000-000000000001"}`)
	f.Add(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"b"},"object":{"key":"k","eTag":"e"}}}]}`)
	f.Add(`{"Type":"Notification","Message":"{\"Event\":\"s3:TestEvent\"}"}`)
	f.Add(`{"source":"aws.s3","detail-type":"Object Created","detail":{"bucket":{"name":"b"},"object":{"key":"%"}}}`)
	f.Fuzz(func(t *testing.T, body string) {
		for _, o := range parseNotice(body).Objects {
			if o.Bucket == "" || o.Key == "" {
				t.Errorf("%+v", o)
			}
		}
	})
}
