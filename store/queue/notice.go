package queue

import (
	"encoding/json"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Notice is the content of a message: a prediction was queued, or objects were created. All may be empty, as in the
// message that S3 sends to test a new configuration.
type Notice struct {
	Prediction uuid.UUID // zero if it is about objects
	Objects    []ObjectEvent
	Unclear    []Reason // of each record, or of the whole message, that could not be parsed
}

// ObjectEvent is an object that was created. The caller must check that its bucket and key may be read, and ask the object
// store for the rest: an event may be late, and says less.
type ObjectEvent struct {
	Bucket  string
	Key     string // decoded
	Version string // empty if the bucket keeps no versions
}

// message holds all fields of every kind that is understood.
type message struct {
	PredictionID *uuid.UUID `json:"prediction_id"` // ours

	Event   string   `json:"Event"` // S3's test
	Records []record `json:"Records"`

	Type    string  `json:"Type"` // an envelope of SNS
	Message *string `json:"Message"`

	Source     string `json:"source"` // EventBridge
	DetailType string `json:"detail-type"`
	Detail     struct {
		Bucket bucket `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // not encoded
			VersionID string `json:"version-id"`
		} `json:"object"`
	} `json:"detail"`
}

// record is one of an S3 notification.
type record struct {
	Name string `json:"eventName"`
	S3   struct {
		Bucket bucket `json:"bucket"`
		Object struct {
			Key       string `json:"key"` // URL-encoded
			VersionID string `json:"versionId"`
		} `json:"object"`
	} `json:"s3"`
}

type bucket struct {
	Name string `json:"name"`
}

// noticeOf returns the body of a message about a prediction.
func noticeOf(prediction uuid.UUID) string { return `{"prediction_id":"` + prediction.String() + `"}` }

// parseNotice parses the body of a message: of this program, a notification of S3, also in the envelope that SNS puts
// around it unless delivery is raw, or an event of EventBridge, also by way of SNS.
func parseNotice(body string) (n Notice) {
	m, ok := unmarshal(body)
	if ok && m.Type == "Notification" && m.Message != nil {
		m, ok = unmarshal(*m.Message)
	}
	switch {
	case !ok:
		n.Unclear = append(n.Unclear, NotJSON)
	case m.PredictionID != nil:
		n.Prediction = *m.PredictionID
	case len(m.Records) > 0:
		for _, r := range m.Records {
			n.addRecord(r)
		}
	case m.Source == "aws.s3":
		if m.DetailType == "Object Created" {
			n.add(m.Detail.Bucket.Name, m.Detail.Object.Key, m.Detail.Object.VersionID)
		}
	case m.Event == "s3:TestEvent":
	default:
		n.Unclear = append(n.Unclear, UnknownForm)
	}
	return n
}

func unmarshal(body string) (m message, ok bool) {
	return m, json.Unmarshal([]byte(body), &m) == nil
}

func (n *Notice) addRecord(r record) {
	if !strings.HasPrefix(strings.TrimPrefix(r.Name, "s3:"), "ObjectCreated:") {
		return
	}
	key, err := url.QueryUnescape(r.S3.Object.Key)
	if err != nil {
		n.Unclear = append(n.Unclear, KeyEncoding)
		return
	}
	n.add(r.S3.Bucket.Name, key, r.S3.Object.VersionID)
}

func (n *Notice) add(bucket, key, version string) {
	if bucket == "" || key == "" {
		n.Unclear = append(n.Unclear, Incomplete)
		return
	}
	n.Objects = append(n.Objects, ObjectEvent{Bucket: bucket, Key: key, Version: version})
}
