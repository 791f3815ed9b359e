package queue

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"strings"

	"github.com/google/uuid"
)

// Notice is the content of a message: a prediction was queued, or objects were created. Both may be empty, as in the
// message that S3 sends to test a new configuration.
type Notice struct {
	Prediction uuid.UUID // zero if it is about objects
	Objects    []ObjectEvent
}

// ObjectEvent is an object that was created. The caller must check that its bucket and key may be read.
type ObjectEvent struct {
	Bucket  string
	Key     string // decoded
	Version string // the version, else the ETag
	ETag    string // quoted, as in objects.Info
	Bytes   int64
}

// message holds all fields of either kind.
type message struct {
	PredictionID *uuid.UUID `json:"prediction_id"`
	Event        string     `json:"Event"`
	Records      []struct {
		Source string `json:"eventSource"`
		Name   string `json:"eventName"`
		S3     struct {
			Bucket struct {
				Name string `json:"name"`
			} `json:"bucket"`
			Object struct {
				Key       string `json:"key"`
				Size      int64  `json:"size"`
				ETag      string `json:"eTag"`
				VersionID string `json:"versionId"`
			} `json:"object"`
		} `json:"s3"`
	} `json:"Records"`
}

// noticeOf returns the body of a message about a prediction.
func noticeOf(prediction uuid.UUID) string { return `{"prediction_id":"` + prediction.String() + `"}` }

// parseNotice parses the body of a message of this program or of S3. Its error holds nothing of the body.
func parseNotice(body string) (Notice, error) {
	var m message
	if err := json.Unmarshal([]byte(body), &m); err != nil {
		return Notice{}, errors.New("parse message: not the JSON of a notice")
	}
	switch {
	case m.PredictionID != nil:
		return Notice{Prediction: *m.PredictionID}, nil
	case len(m.Records) > 0:
		return objectNotice(m)
	case m.Event == "s3:TestEvent":
		return Notice{}, nil
	}
	return Notice{}, errors.New("parse message: neither a prediction nor an object event")
}

func objectNotice(m message) (Notice, error) {
	var n Notice
	for i, r := range m.Records {
		if !strings.HasPrefix(strings.TrimPrefix(r.Name, "s3:"), "ObjectCreated:") {
			continue
		}
		key, err := url.QueryUnescape(r.S3.Object.Key)
		if err != nil {
			return Notice{}, fmt.Errorf("parse message: record %d: key is not URL-encoded", i)
		}
		e := ObjectEvent{Bucket: r.S3.Bucket.Name, Key: key, Version: r.S3.Object.VersionID, Bytes: r.S3.Object.Size}
		if tag := strings.Trim(r.S3.Object.ETag, `"`); tag != "" {
			e.ETag = `"` + tag + `"`
		}
		if e.Version == "" {
			e.Version = e.ETag
		}
		if e.Bucket == "" || e.Key == "" || e.Version == "" {
			return Notice{}, fmt.Errorf("parse message: record %d: bucket, key or version is missing", i)
		}
		n.Objects = append(n.Objects, e)
	}
	return n, nil
}
