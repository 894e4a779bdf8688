//! What a server's answer to a request for a file, or for the rest of one, means (RFC 9110, sections 13 to 15).

use ureq::http::{HeaderMap, StatusCode, header};

use crate::Sha256;
use crate::note::Note;

/// In which Apple's servers, as others on Amazon's, say a file's checksum.
const AMAZON_SUM: &str = "x-amz-meta-digest-sha256";

/// What the body of an answer is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// The file from its beginning.
    Whole(Note),
    /// What was asked for: the rest of what is here.
    Rest,
    /// Nothing of use: the file has changed, or the server does not keep to ranges. The whole is to be asked for.
    Another,
}

/// Reads an answer to a request for `url`, which is noted as it is, from the end of what is here where `here` says what that is.
///
/// # Errors
/// What makes no sense.
pub(crate) fn read(
    url: &str,
    status: StatusCode,
    headers: &HeaderMap,
    here: Option<(&Note, u64)>,
) -> Result<Answer, String> {
    let coding = text(headers, header::CONTENT_ENCODING.as_str());
    if coding.is_some_and(|coding| !coding.eq_ignore_ascii_case("identity")) {
        return Err("the server sends the file in another coding than it was asked for".to_owned());
    }
    match (status, here) {
        (StatusCode::PARTIAL_CONTENT, Some((note, offset))) => {
            let range = text(headers, header::CONTENT_RANGE.as_str()).and_then(content_range);
            let now = Note { length: range.map_or(note.length, |range| range.total), ..note_of(url, headers) };
            // One that leaves out what it was asked by says nothing against it.
            let validator = now.validator.clone().or_else(|| note.validator.clone());
            let same = note.is_of(&Note { validator, ..now });
            let whole = |range: Range| range.total.is_none_or(|total| range.last + 1 == total);
            Ok(match range {
                Some(range) if range.first == offset && whole(range) && same => Answer::Rest,
                _ => Answer::Another,
            })
        }
        (StatusCode::PARTIAL_CONTENT, None) => Err("the server sends a part of a file, unasked".to_owned()),
        (StatusCode::RANGE_NOT_SATISFIABLE | StatusCode::PRECONDITION_FAILED, Some(_)) => Ok(Answer::Another),
        (StatusCode::OK, _) => {
            let length = text(headers, header::CONTENT_LENGTH.as_str()).and_then(|text| text.parse().ok());
            Ok(Answer::Whole(Note { length, ..note_of(url, headers) }))
        }
        (status, _) => Err(format!("the server answers {status}")),
    }
}

/// What the headers say of the whole file, but for its length.
fn note_of(url: &str, headers: &HeaderMap) -> Note {
    // A weak tag says that two versions mean the same, not that they are the same.
    let tag = text(headers, header::ETAG.as_str()).filter(|tag| tag.starts_with('"'));
    let validator = tag.or_else(|| text(headers, header::LAST_MODIFIED.as_str())).map(str::to_owned);
    let sum = text(headers, AMAZON_SUM).and_then(|sum| sum.parse::<Sha256>().ok());
    Note { url: url.to_owned(), validator, length: None, sum, durable: 0 }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Range {
    first: u64,
    last: u64,
    total: Option<u64>,
}

/// `bytes 100-199/200`, or `bytes 100-199/*`.
fn content_range(text: &str) -> Option<Range> {
    let (range, total) = text.strip_prefix("bytes ")?.split_once('/')?;
    let (first, last) = range.split_once('-')?;
    let total = if total == "*" { None } else { Some(total.parse().ok()?) };
    let range = Range { first: first.parse().ok()?, last: last.parse().ok()?, total };
    (range.first <= range.last && range.last < u64::MAX).then_some(range)
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TAGGED: &[(&str, &str)] = &[("etag", "\"1\"")];

    fn headers(list: &[(&str, &str)]) -> HeaderMap {
        let name = |name: &str| name.parse::<ureq::http::HeaderName>().unwrap();
        list.iter().map(|(key, value)| (name(key), value.parse().unwrap())).collect()
    }

    fn note() -> Note {
        Note { url: "u".into(), validator: Some("\"1\"".into()), length: Some(200), sum: None, durable: 100 }
    }

    /// An answer to the request for what comes after the first 100 of 200 bytes.
    fn rest(status: u16, list: &[(&str, &str)]) -> Result<Answer, String> {
        read("u", StatusCode::from_u16(status).unwrap(), &headers(list), Some((&note(), 100)))
    }

    #[test]
    fn only_the_rest_of_the_same_file_is_taken_for_it() {
        let range = |range| [TAGGED, &[("content-range", range)]].concat();
        assert_eq!(rest(206, &range("bytes 100-199/200")), Ok(Answer::Rest));
        assert_eq!(rest(206, &[("content-range", "bytes 100-199/200")]), Ok(Answer::Rest));
        let lies = [
            "bytes 0-199/200",
            "bytes 99-199/200",
            "bytes 101-199/200",
            "bytes 100-198/200",
            "bytes 100-299/300",
            "bytes 100-199/*",
            "bytes */200",
            "bytes 199-100/200",
            "bytes 100-18446744073709551615/200",
            "lines 100-199/200",
            "",
        ];
        for lie in lies {
            assert_eq!(rest(206, &range(lie)), Ok(Answer::Another), "{lie}");
        }
        assert_eq!(rest(206, TAGGED), Ok(Answer::Another));
        let other = [("etag", "\"2\""), ("content-range", "bytes 100-199/200")];
        assert_eq!(rest(206, &other), Ok(Answer::Another));
        assert_eq!(rest(416, &[]), Ok(Answer::Another));
        assert_eq!(rest(412, &[]), Ok(Answer::Another));
    }

    #[test]
    fn what_the_server_says_of_the_file_is_noted() {
        let whole = |list: &[(&str, &str)]| match read("u", StatusCode::OK, &headers(list), None) {
            Ok(Answer::Whole(note)) => note,
            other => panic!("{other:?}"),
        };
        let sum = Sha256::of(b"x").to_string();
        let noted = whole(&[("etag", "\"1\""), ("content-length", "200"), (AMAZON_SUM, &sum)]);
        assert_eq!(noted, Note { sum: Some(Sha256::of(b"x")), durable: 0, ..note() });
        let dated = whole(&[("etag", "W/\"1\""), ("last-modified", "Mon, 27 Jan 2025 12:00:00 GMT")]);
        assert_eq!(dated.validator.as_deref(), Some("Mon, 27 Jan 2025 12:00:00 GMT"));
        assert_eq!(
            whole(&[("etag", "W/\"1\""), (AMAZON_SUM, "short")]),
            Note { validator: None, length: None, ..dated }
        );
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(read("u", StatusCode::PARTIAL_CONTENT, &HeaderMap::new(), None).is_err());
        assert!(read("u", StatusCode::NO_CONTENT, &HeaderMap::new(), None).is_err());
        assert!(rest(200, &[("content-encoding", "gzip")]).is_err());
        assert!(rest(200, &[("content-encoding", "Identity")]).is_ok());
    }
}
