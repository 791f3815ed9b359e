package fault

// again marks a code whose request may succeed when it is sent again.
const again = true

// Meanings is the published table of codes, sorted by number. Status 0 marks codes that are never the status of an answer.
var Meanings = [...]Meaning{
	{
		1001, 400, false, "Invalid file", "Invalid file format. Please upload a CSV file.",
		"Upload one file whose name ends in .csv (or .csv.gz, .csv.zst) and has nothing but letters, digits, spaces, " +
			"hyphens, underscores and points in it, and no folder.",
	},
	{
		1002, 413, false, "Too large", "The file is larger than this service accepts.",
		"Split the file into smaller ones. The details name the limit and its unit, bytes or rows.",
	},
	{
		1003, 400, false, "Invalid format", "Only CSV files are allowed",
		"The file's name ends in .csv, but what is in it is something else, which the details name. Save it as CSV with " +
			"a header line and one customer per row.",
	},
	{
		1004, 400, false, "Missing columns", "Required columns are missing from your file.",
		"Add the columns that the message names. GET /models/{name}/template.csv is an empty file with every column, which " +
			"the page at / offers too. GET /csv-samples/telecom and GET /csv-samples/saas are complete files.",
	},
	{
		1005, 400, false, "Empty file", "The file has no rows to score.",
		"Upload a file with a header line and at least one row below it.",
	},
	{
		1006, 400, false, "Unreadable header", "The header line of the file cannot be read.",
		"Make sure that the first line names every column, and no column that the model needs twice.",
	},
	{
		1007, 400, false, "Not text", "The file is not text in a supported encoding.",
		"Save the file as CSV in UTF-8. Spreadsheet files such as .xlsx must be exported as CSV first.",
	},
	{
		1008, 400, false, "Too many columns", "The file has more columns than this service accepts.",
		"Remove columns that the model does not need.",
	},
	{
		1009, 400, false, "Bad quoting", "A quotation mark in the file is not closed or stands in the wrong place.",
		"Look at the line that the message names. A cell with a comma, a line break or a quotation mark is put in " +
			"double quotes, and a quotation mark inside it is doubled.",
	},
	{
		1010, 400, false, "Row too long", "A row of the file is longer than this service accepts.",
		"Look at the line that the message names. A missing closing quotation mark is the usual cause.",
	},
	{
		1011, 413, false, "Unpacked file too large", "The compressed file is too large when it is unpacked.",
		"Split the file into smaller ones, or upload it uncompressed.",
	},
	{
		1012, 422, false, "Damaged archive", "The compressed file is damaged.",
		"Compress the file again with gzip or zstd, or upload it uncompressed.",
	},
	{
		1013, 400, again, "Incomplete upload", "The upload ended before all of the file had arrived.",
		"Send the file again.",
	},
	{
		1014, 0, again, "File not readable", "The file could not be read from the bucket.",
		"Check that the file is still in the bucket and that this service may read it.",
	},
	{
		1015, 0, again, "File changed", "The file changed while it was being read.",
		"Upload the file again and leave it unchanged until the prediction is finished.",
	},
	{
		1016, 400, false, "Number style unclear", "The numbers of the file can be read in two ways.",
		"Say which: decimal=, with thousands=. for 1.234,56, or decimal=. with thousands=, for 1,234.56 (parameters of the " +
			"upload, and flags of the command line). A file that mixes both styles must be exported again in one of them.",
	},
	{
		1017, 400, false, "Shifted rows", "Commas inside numbers shift the cells of many rows.",
		"Put numbers with a comma in double quotes, or export the file with another separator such as a semicolon. If the " +
			"rows are right as they are, say decimal=. and they are taken so.",
	},
	{
		1018, 400, false, "Useless column", "The model cannot use most values of a column that it needs.",
		"Correct the column, or look whether another one has its name. If the values are right as they are, say " +
			"column_check=warn (a parameter of the upload and a flag of the command line), and the file is scored without them.",
	},

	{
		1101, 404, false, "Prediction not found", "There is no prediction with this id.",
		"Check the id. GET /predictions lists your predictions.",
	},
	{
		1102, 409, false, "Prediction failed", "This prediction could not be completed.",
		"Upload the file again. If it fails again, contact support with the request id.",
	},
	{
		1103, 409, false, "Prediction timed out", "The prediction took longer than allowed.",
		"Upload the file again later, or split it into smaller ones.",
	},
	{
		1104, 409, false, "Prediction cancelled", "This prediction was cancelled before any row was scored.",
		"Upload the file again to score it.",
	},
	{
		1105, 409, again, "Not finished", "This prediction is not finished yet.",
		"Wait and ask again. The Retry-After header says when.",
	},
	{
		1106, 409, false, "Not possible now", "This is not possible in the prediction's present state.",
		"Look at the prediction's status with GET /predictions/{id}.",
	},
	{
		1107, 409, false, "Too many rejected rows", "More rows were rejected than the upload allowed.",
		"Download the rejected rows, correct them, and upload the file again.",
	},
	{
		1108, 410, false, "Result expired", "The results of this prediction have been deleted because they expired.",
		"Upload the file again to score it anew.",
	},
	{
		1109, 0, false, "Scored again", "The file was scored again because the model or the engine changed.",
		"Nothing is needed. All results come from the newer model.",
	},
	{
		1110, 410, false, "File gone", "A file of this prediction is no longer stored.",
		"Upload the file again to score it anew. Operators: see whether something else than this service deletes files.",
	},
	{
		1111, 409, false, "Too few rows scored", "Fewer than half of the rows could be scored.",
		"Download the rejected rows, correct them, and upload the file again. To get the result of the few rows, say " +
			"allow_rejects=true, or how many may be rejected with max_rejected.",
	},
	{
		1112, 409, false, "Ended the worker", "Scoring this file ended the worker process twice while it ran alone.",
		"Split the file into smaller ones, or contact support with the prediction's id. Operators: find out why the process " +
			"ended (memory: docs/operations.md), give workers more, and retry the prediction.",
	},

	{
		1201, 401, false, "Invalid token", "The access token is not valid.",
		"Sign in again and send the new token as 'Authorization: Bearer <token>'.",
	},
	{
		1202, 401, false, "Expired token", "The access token has expired.",
		"Sign in again, or refresh the token.",
	},
	{
		1203, 401, false, "Missing token", "This request needs an access token.",
		"Send your token in the header 'Authorization: Bearer <token>'.",
	},
	{
		1204, 403, false, "Not allowed", "This token does not allow what was asked.",
		"Use a token or an access key with the scope that the message names, or sign in.",
	},
	{
		1205, 503, again, "Sign-in service unavailable", "Authentication service temporarily unavailable. Please refresh the page.",
		"Try again in a few seconds. Your token may be fine.",
	},
	{
		1206, 404, false, "Access key not found", "There is no access key with this id.",
		"GET /keys lists your keys. A key that was revoked is gone for good.",
	},

	{
		1301, 422, false, "Missing field", "A required field is missing.",
		"Add the field that the message names.",
	},
	{
		1302, 422, false, "Invalid value", "A value in the request is not valid.",
		"Correct the value that the message names.",
	},
	{
		1303, 422, false, "Out of range", "A value in the request is out of range.",
		"Choose a value between the limits that the message names.",
	},
	{
		1304, 400, false, "Unreadable body", "The body of the request cannot be read.",
		"Send the file as multipart/form-data with a field named 'file', or as text/csv; rows also as JSON or Arrow.",
	},
	{
		1305, 400, false, "Unknown parameter", "The request has a parameter that this route does not know.",
		"Check the spelling. GET /docs lists the parameters of every route.",
	},
	{
		1306, 400, false, "Invalid cursor", "The cursor is not valid here.",
		"Use next_cursor of the previous page as it is, with the same filters, or start without a cursor.",
	},
	{
		1307, 404, false, "No such page", "There is nothing at this address.",
		"Check the address. GET /docs lists every route.",
	},
	{
		1308, 405, false, "Method not allowed", "This address does not support the request's method.",
		"Use one of the methods in the Allow header.",
	},
	{
		1309, 406, false, "Not acceptable", "The answer is not available in the format asked for.",
		"Change the Accept header or the format parameter.",
	},
	{
		1310, 415, false, "Unsupported media type", "The body's type or encoding is not supported.",
		"Send multipart/form-data or text/csv (to POST /score also JSON or Arrow); plain, gzip or zstd.",
	},
	{
		1311, 416, false, "Range not satisfiable", "The requested range lies outside the file.",
		"Ask for a range within the length in the Content-Range header.",
	},
	{
		1312, 422, false, "Idempotency key reused", "This idempotency key was used for another request.",
		"Use a new key for a new request.",
	},
	{
		1313, 409, again, "Still running", "The first request with this idempotency key is still running.",
		"Wait and send the request again with the same key.",
	},
	{
		1314, 400, false, "Malformed request", "The HTTP request is malformed or ambiguous.",
		"Use a standard HTTP client without changing its framing.",
	},
	{
		1318, 409, false, "No direct uploads", "Files cannot be uploaded around this server: it keeps them in a directory.",
		"Send the file to POST /upload. Operators: configure a bucket.",
	},

	{
		1401, 429, again, "Too many requests", "You have sent too many requests in a short time.",
		"Wait for the seconds in the Retry-After header.",
	},
	{
		1402, 429, again, "Row quota spent", "You have scored as many rows as your quota allows for now.",
		"Wait for the seconds in the Retry-After header.",
	},
	{
		1403, 429, again, "Too many waiting", "You have too many predictions waiting.",
		"Wait until some are finished, or cancel some.",
	},
	{
		1404, 503, again, "Busy", "Our service is experiencing high traffic. Please try again in a moment.",
		"Wait for the seconds in the Retry-After header and try again.",
	},
	{
		1405, 503, again, "Shutting down", "The service is restarting.",
		"Try again in a few seconds.",
	},
	{
		1406, 408, again, "Upload too slow", "The upload arrived too slowly and was ended.",
		"Try again on a faster connection, or compress the file with gzip.",
	},
	{
		1407, 413, false, "Too many rows to score at once", "This is more than can be scored in one request.",
		"Send the file to POST /upload instead.",
	},

	{
		1500, 500, again, "Internal error", "Something went wrong on our side.",
		"Try again. If it happens again, contact support with the request id.",
	},
	{
		1501, 503, again, "Database unavailable", "Our database is not available at the moment.",
		"Try again in a few seconds.",
	},
	{
		1502, 503, again, "Storage unavailable", "Our file storage is not available at the moment.",
		"Try again in a few seconds. A file that could not be saved must be uploaded again.",
	},
	{
		1503, 503, again, "Queue unavailable", "Our queue is not available at the moment.",
		"Try again in a few seconds.",
	},
	{
		1504, 500, false, "Row count mismatch", "The rows of this prediction do not add up, so no result is given.",
		"We have been notified. Contact support with the prediction's id.",
	},
	{
		1505, 503, again, "Storage full", "There is no room to store the file at the moment.",
		"Try again later.",
	},
	{
		1506, 500, false, "File refused", "The file storage refuses this file.",
		"Contact support with the prediction's id. Operators: see what the storage says about this one file, as the " +
			"message names it, and retry the prediction when that is mended.",
	},

	{
		1601, 0, false, "Wrong number of fields", "The row has more or fewer fields than the header.",
		"Quote cells that contain the delimiter, and fill up short rows.",
	},
	{
		1602, 0, false, "Not a number", "The cell is not a number.",
		"Write one number, such as 12.5. Signs of money, separators of thousands and brackets are read, other words are not.",
	},
	{
		1603, 0, false, "Not a finite number", "The cell is infinite or too large to be a number.",
		"Correct the number.",
	},
	{
		1604, 0, false, "Required value empty", "A required cell is empty.",
		"Fill in the value.",
	},
	{
		1605, 0, false, "Field too long", "The cell is longer than this service accepts.",
		"Shorten the text.",
	},
	{
		1606, 0, false, "Invalid UTF-8", "The row has bytes that are not valid UTF-8 text.",
		"Save the file in UTF-8.",
	},
	{
		1607, 0, false, "Not a yes/no or date", "The cell is not a yes/no value or a date.",
		"Correct the value.",
	},
	{
		1608, 0, false, "Duplicate customer", "The customer id appeared in an earlier row.",
		"Keep one row per customer.",
	},
	{
		1609, 0, false, "NUL byte", "The row contains a NUL byte.",
		"Export the file again as plain text.",
	},
	{
		1610, 0, false, "Outside the allowed range", "The number is outside the range that may be scored.",
		"Correct the number.",
	},
	{
		1611, 0, false, "Category refused", "The value is not one that the model knows.",
		"Use one of the values that the model lists.",
	},
	{
		1612, 0, false, "Against the number style", "The number is written otherwise than the others of the file.",
		"Write it as the others. How a file writes its numbers is decided once, from its first megabyte.",
	},
	{
		1613, 0, false, "Quotation mark in the wrong place", "A quotation mark of the row stands in the wrong place.",
		"Put a cell that has quotation marks inside in quotation marks, and double those inside.",
	},
	{
		1614, 0, false, "Total row", "The row is a total of others and no customer.",
		"Nothing is needed. A customer whose name has such a word is scored if the row has its categories.",
	},
	{
		1651, 0, false, "Outside the training range", "The number is outside the range seen in training.",
		"The row was scored. Check whether the number is right.",
	},
	{
		1652, 0, false, "Missing value", "The cell is empty.",
		"The row was scored without this value.",
	},
	{
		1653, 0, false, "Unseen category", "The value was not seen in training.",
		"The row was scored as if the value were unknown. Check the spelling.",
	},
	{
		1654, 0, false, "Normalised", "The value was trimmed or spelled differently.",
		"Nothing is needed.",
	},
	{
		1655, 0, false, "Duplicate customer, scored", "The customer id appeared in an earlier row.",
		"Every row was scored. Keep one row per customer if that is not wanted.",
	},
	{
		1656, 0, false, "Matched loosely", "The value was known but for its case, spaces, dashes, or another spelling of a number or of yes and no.",
		"Nothing is needed if the value means what the model's does.",
	},
	{
		1657, 0, false, "Number read", "The number was written with separators of thousands, a decimal comma, a currency, or the like.",
		"Nothing is needed if number_style of the summary shows how the file writes its numbers.",
	},

	{
		1701, 404, false, "Unknown model", "There is no model with this name.",
		"GET /models lists the models.",
	},
	{
		1702, 410, false, "Model withdrawn", "This version of the model has been withdrawn.",
		"Use the current version. GET /models lists the models.",
	},
	{
		1703, 0, false, "Model not supported", "The model file has a format or feature that is not supported.",
		"Operators: save the model as LightGBM text or XGBoost JSON or UBJSON.",
	},
	{
		1704, 0, false, "Model columns differ", "The columns of the bundle differ from those of the model.",
		"Operators: correct the columns in bundle.yaml.",
	},
	{
		1705, 0, false, "Model self-check failed", "The model does not give the scores recorded with it.",
		"Operators: make the bundle again from the training run.",
	},
	{
		1706, 0, false, "Model checksum differs", "A file of the bundle differs from its checksum.",
		"Operators: copy the bundle again.",
	},
	{
		1707, 422, false, "No model chosen", "The columns of the file do not tell which model to use.",
		"Name the model: POST /upload?model=telecom, or ?model=saas.",
	},
	{
		1708, 0, false, "Model too large", "The model is beyond this service's limits.",
		"Operators: raise the limits or train a smaller model.",
	},
	{
		1709, 0, false, "Bundle unusable", "The bundle cannot be read, or another has its name.",
		"Operators: the log line \"bundle refused\" and GET /bundles of the admin listener name the reason.",
	},
	{
		1710, 409, false, "Model version taken", "Another model has this name and version.",
		"Operators: give the model another version in bundle.yaml, and push it again.",
	},
	{
		1711, 410, false, "Model retired", "No new file is scored with this version of the model.",
		"Name another version or an alias. GET /models lists them.",
	},
	{
		1712, 503, again, "Model unavailable", "The model is known, but cannot be read at present.",
		"Try again later. Operators: millrace model list shows what is missing; push the model again.",
	},
	{
		1713, 409, false, "Not possible with this model", "What names this model, or its state, does not allow this change.",
		"Operators: millrace model list shows the state of each version and what names it.",
	},
}
