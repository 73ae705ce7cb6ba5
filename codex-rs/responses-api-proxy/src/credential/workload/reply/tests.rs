use super::*;

const NOW: u64 = 1_800_000_000;

fn read(body: &str) -> Result<(String, Duration), Fault> {
    let mut page = [0; 64];
    let now = UNIX_EPOCH + Duration::from_secs(NOW);
    let obtained = read_access_token(body.as_bytes(), &mut page, now)?;
    let token = String::from_utf8(page[..obtained.len].to_vec()).unwrap();
    Ok((token, obtained.lifetime))
}

#[test]
fn a_token_and_its_lifetime_are_enough() {
    let kind = r#""issued_token_type":"urn:ietf:params:oauth:token-type:access_token""#;
    for (body, seconds) in [
        (
            r#"{"access_token":"a.b-c","expires_in":3600}"#.to_owned(),
            3600,
        ),
        (
            r#" {"expires_in":"60","access_token":"a.b-c"} "#.to_owned(),
            60,
        ),
        (
            r#"{"access_token":"a.b-c","expires_in":86400,"x":[{"y":null}]}"#.to_owned(),
            86_400,
        ),
        (
            r#"{"access_token":"\u0061.b-c","expires_in":5.9}"#.to_owned(),
            5,
        ),
        (
            format!(r#"{{"access_token":"a.b-c","expires_in":60,"token_type":"bearer",{kind}}}"#),
            60,
        ),
        (
            r#"{"access_token":"a.b-c","expires_in":60,"token_type":null,"expires_at":1800000020}"#
                .to_owned(),
            20,
        ),
        (
            r#"{"access_token":"a.b-c","expires_in":60,"expires_at":99999999999999999999}"#
                .to_owned(),
            60,
        ),
    ] {
        let wanted = ("a.b-c".to_owned(), Duration::from_secs(seconds));
        assert_eq!(read(&body), Ok(wanted), "{body}");
    }
}

#[test]
fn a_reply_that_is_malformed_or_expired_is_refused_for_its_own_reason() {
    for (body, said) in [
        ("", "the reply is not a JSON object"),
        ("<html>", "the reply is not a JSON object"),
        ("[]", "the reply is not a JSON object"),
        (r#"["tok",60]"#, "the reply is not a JSON object"),
        (
            r#"{"access_token":"tok","expires_in":60"#,
            "the reply is not a JSON object",
        ),
        (
            r#"{"access_token":"tok","expires_in":60}{}"#,
            "the reply is not a JSON object",
        ),
        (r#"{"expires_in":60}"#, "the reply has no access_token"),
        (
            r#"{"access_token":null,"expires_in":60}"#,
            "the reply has no access_token",
        ),
        (
            r#"{"access_token":7,"expires_in":60}"#,
            "access_token is not a string",
        ),
        (
            r#"{"access_token":{"message":"tok"},"expires_in":60}"#,
            "access_token is not a string",
        ),
        (
            r#"{"access_token":"","expires_in":60}"#,
            "access_token is empty",
        ),
        (
            r#"{"access_token":"tok en","expires_in":60}"#,
            "access_token has a character that no token has",
        ),
        (
            r#"{"access_token":"tok\n","expires_in":60}"#,
            "access_token has a character that no token has",
        ),
        (
            r#"{"access_token":"a=b","expires_in":60}"#,
            "access_token has a character that no token has",
        ),
        (
            r#"{"access_token":"tök","expires_in":60}"#,
            "access_token has a character that no token has",
        ),
        (
            r#"{"access_token":"a","access_token":"b","expires_in":60}"#,
            "access_token is there twice",
        ),
        (r#"{"access_token":"tok"}"#, "the reply has no expires_in"),
        (
            r#"{"access_token":"tok","expires_in":0}"#,
            "expires_in is 0: the token has expired already",
        ),
        (
            r#"{"access_token":"tok","expires_in":-1}"#,
            "expires_in is not a number of seconds",
        ),
        (
            r#"{"access_token":"tok","expires_in":"soon"}"#,
            "expires_in is not a number of seconds",
        ),
        (
            r#"{"access_token":"tok","expires_in":true}"#,
            "expires_in is not a number of seconds",
        ),
        (
            r#"{"access_token":"tok","expires_in":86401}"#,
            "expires_in is more than 24 hours",
        ),
        (
            r#"{"access_token":"tok","expires_in":1e99}"#,
            "expires_in is more than 24 hours",
        ),
        (
            r#"{"access_token":"tok","expires_in":60,"token_type":"mac"}"#,
            "token_type is not Bearer",
        ),
        (
            r#"{"access_token":"tok","expires_in":60,"issued_token_type":"x"}"#,
            "issued_token_type is not that of an access token",
        ),
        (
            r#"{"access_token":"tok","expires_in":60,"expires_at":1800000000}"#,
            "expires_at has passed by this machine's clock: the token has expired already, or the clock is wrong",
        ),
        (
            r#"{"access_token":"tok","expires_in":60,"expires_at":"x"}"#,
            "expires_at is not a number of seconds",
        ),
    ] {
        let fault = read(body).expect_err(body);
        assert_eq!(fault.to_string(), said, "{body}");
    }
    let long = format!(r#"{{"access_token":"{}","expires_in":60}}"#, "a".repeat(65));
    assert_eq!(
        read(&long).unwrap_err().to_string(),
        "access_token is longer than 8 KiB"
    );
}

#[test]
fn what_is_said_of_an_error_is_found_in_every_shape() {
    for (body, said) in [
        (
            r#"{"error":"invalid_grant","error_description":"It expired."}"#,
            "invalid_grant: It expired.",
        ),
        (r#"{"error":"access_denied"}"#, "access_denied"),
        (
            r#"{"error":{"message":"No such provider.","code":"x"}}"#,
            "No such provider.",
        ),
        (
            r#"{"message":"Resource not accessible"}"#,
            "Resource not accessible",
        ),
        (r#"{"error":7}"#, ""),
        ("<html>teapot</html>", ""),
        ("", ""),
    ] {
        assert_eq!(said_by(body.as_bytes()), said, "{body}");
    }
}
