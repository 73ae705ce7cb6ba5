//! Drives async-openai: with-async-openai stream|tool|chat.
//!
//! The address and a key come from OPENAI_BASE_URL and OPENAI_API_KEY, as in any program that uses it.

use std::error::Error;
use std::io::Write as _;
use std::process::ExitCode;

use async_openai::Client;
use async_openai::types::chat::CreateChatCompletionRequest;
use async_openai::types::responses::{
    CreateResponse, FunctionToolCall, OutputItem, ResponseStreamEvent,
};
use futures::StreamExt as _;
use serde_json::{Value, json};

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let check = std::env::args().nth(1).unwrap_or_default();
    let done = match check.as_str() {
        "stream" => show(json!({ "model": "gpt-mock", "input": "hi" }))
            .await
            .map(drop),
        "tool" => call_tool().await,
        "chat" => chat().await,
        _ => Err("with-async-openai stream|tool|chat".into()),
    };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("Error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Prints what arrives at once, so that an error later does not take it away; returns the calls.
async fn show(request: Value) -> Result<Vec<FunctionToolCall>, Box<dyn Error>> {
    let request: CreateResponse = serde_json::from_value(request)?;
    let mut events = Client::new().responses().create_stream(request).await?;
    let (mut calls, mut is_complete) = (Vec::new(), false);
    while let Some(event) = events.next().await {
        match event? {
            ResponseStreamEvent::ResponseOutputTextDelta(event) => {
                print!("{}", event.delta);
                std::io::stdout().flush()?;
            }
            ResponseStreamEvent::ResponseOutputItemDone(event) => {
                if let OutputItem::FunctionCall(call) = event.item {
                    calls.push(call);
                }
            }
            ResponseStreamEvent::ResponseCompleted(_) => is_complete = true,
            _ => {}
        }
    }
    // An answer that is cut is an error of the stream; one that merely stops before its last event is not.
    if is_complete {
        Ok(calls)
    } else {
        Err("the stream ended without response.completed".into())
    }
}

async fn call_tool() -> Result<(), Box<dyn Error>> {
    let request = |input: Value| {
        let tool = json!({
            "type": "function",
            "name": "look_up",
            "parameters": { "type": "object", "properties": { "word": { "type": "string" } } },
        });
        json!({ "model": "gpt-mock", "input": input, "tools": [tool] })
    };
    let mut input = vec![json!({ "role": "user", "content": "hi" })];
    for call in show(request(json!(input))).await? {
        let arguments: Value = serde_json::from_str(&call.arguments)?;
        let word = arguments["word"].as_str().unwrap_or_default();
        let result = format!("{word}-{}", 40 + 2);
        let output =
            json!({ "type": "function_call_output", "call_id": call.call_id, "output": result });
        let mut call = serde_json::to_value(call)?;
        call["type"] = json!("function_call");
        input.extend([call, output]);
    }
    show(request(json!(input))).await.map(drop)
}

async fn chat() -> Result<(), Box<dyn Error>> {
    let request = json!({ "model": "gpt-mock", "messages": [{ "role": "user", "content": "hi" }] });
    let request: CreateChatCompletionRequest = serde_json::from_value(request)?;
    let answer = Client::new().chat().create(request).await?;
    println!("{answer:?}");
    Ok(())
}
