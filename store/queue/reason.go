package queue

// Reason is why a message, or one of its records, is set aside: delivered again it would be no better understood.
type Reason string

// The reasons of everything that is set aside. The first four are of messages, the others of the files that they name.
const (
	NotJSON     Reason = "not_json"     // the body, or what its envelope holds
	UnknownForm Reason = "unknown_form" // none of the messages that are understood
	KeyEncoding Reason = "key_encoding" // an S3 notification whose key is not URL-encoded
	Incomplete  Reason = "incomplete"   // a record without bucket or key

	OtherBucket    Reason = "other_bucket"    // not the bucket of this installation, or not below its prefix
	FolderMarker   Reason = "folder_marker"   // the key ends with a slash
	InvalidKey     Reason = "invalid_key"     // NUL and other control characters, hidden or empty segments, backslashes
	NoUser         Reason = "no_user"         // not below inbox/<user>/
	Gone           Reason = "gone"            // the object or the version is not there any more
	DeletedFile    Reason = "deleted_file"    // the file's prediction has been deleted
	DeletedAccount Reason = "deleted_account" // its user's account has been deleted
	WrongSize      Reason = "wrong_size"      // a directly uploaded file does not have the size of its link
)

// Reasons lists all reasons.
func Reasons() []Reason {
	return []Reason{
		NotJSON, UnknownForm, KeyEncoding, Incomplete, OtherBucket, FolderMarker, InvalidKey, NoUser, Gone, DeletedFile,
		DeletedAccount, WrongSize,
	}
}
