#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| codex_responses_api_proxy::fuzzing::request_encodings(data));
