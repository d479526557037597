//! `anabranch call`: one request from the shell.

use crate::Protocols;
use crate::args::{Call, Format};
use crate::deployment::running;
use crate::exit::{CommandError, Exit, Result};
use crate::value::{object, to_json};
use anabranch::client::{CallError, Client};
use anabranch::core::data::Schema;
use anabranch::core::node::{Protocol, RequestInfo};
use anabranch::core::value::Value;
use anabranch::deploy::parse_duration;
use serde_json::json;
use std::time::Duration;

/// Runs the command.
pub fn run(args: &Call, protocols: &Protocols) -> Result {
    let (protocol, deployment) = running(&args.deployment, protocols)?;
    let timeout = parse_duration(&args.timeout).ok_or_else(|| {
        CommandError::usage(format!("{:?} is no duration\n  help: write it as 500ms or 5s", args.timeout))
    })?;
    let requests = protocol.requests();
    let info = requests.iter().find(|r| r.name == args.request).ok_or_else(|| {
        let all: Vec<String> = requests.iter().map(signature).collect();
        let message = format!(
            "`{}` has no request `{}`\n  help: there is {}",
            protocol.name(),
            args.request,
            all.join(", ")
        );
        CommandError::usage(message)
    })?;
    let values = arguments(protocol, info, &args.args)?;
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(|e| CommandError::failure(e.to_string()))?;
    let outcome = runtime.block_on(async {
        let client =
            Client::connect(protocol, &deployment).await.map_err(|e| CommandError::failure(e.to_string()))?;
        Ok(client.with_timeout(Duration::from_millis(timeout)).call(info.name, &values).await)
    })?;
    Ok(report(protocol, info, outcome, args.format))
}

fn signature(info: &RequestInfo) -> String {
    let args: Vec<String> = info.args.iter().map(|(name, schema)| format!("{name}: {schema}")).collect();
    format!("{}({})", info.name, args.join(", "))
}

fn arguments(protocol: &dyn Protocol, info: &RequestInfo, texts: &[String]) -> Result<Vec<Value>> {
    if texts.len() != info.args.len() {
        let message = format!("{} takes {} arguments, not {}", signature(info), info.args.len(), texts.len());
        return Err(CommandError::usage(message));
    }
    let parse = |((name, schema), text): (&(&str, Schema), &String)| {
        schema
            .parse(text, protocol.roles())
            .map_err(|e| CommandError::usage(format!("argument `{name}: {schema}`: {e}\n  {text}")))
    };
    info.args.iter().zip(texts).map(parse).collect()
}

fn report(
    protocol: &dyn Protocol,
    info: &RequestInfo,
    outcome: std::result::Result<Value, CallError<Value>>,
    format: Format,
) -> Exit {
    let roles = protocol.roles();
    let (exit, value, text) = match outcome {
        Ok(reply) => {
            let Value::Tuple(items) = &reply else { unreachable!("replies are tuples") };
            let columns = info.reply.iter().zip(items.iter());
            let lines: Vec<String> =
                columns.map(|((name, schema), v)| format!("{name} = {}", schema.print(v, roles))).collect();
            let text = if lines.is_empty() { "done".to_string() } else { lines.join("\n") };
            (Exit::Ok, json!({ "outcome": "answer", "reply": object(&info.reply, &reply, roles) }), text)
        }
        Err(CallError::Refused(error)) => {
            let schema = info.error.clone().unwrap_or(Schema::Unit);
            let value = json!({ "outcome": "refused", "error": to_json(&schema, &error, roles) });
            (Exit::Violation, value, format!("refused: {}", schema.print(&error, roles)))
        }
        Err(CallError::NotSent(why)) => {
            (Exit::Failure, json!({ "outcome": "not sent", "why": why }), format!("not done: {why}"))
        }
        Err(CallError::Unknown(why)) => {
            let text = format!("unknown whether it was done: {why}");
            (Exit::Failure, json!({ "outcome": "unknown", "why": why }), text)
        }
    };
    match format {
        Format::Json => println!("{value}"),
        Format::Text if exit == Exit::Ok => println!("{text}"),
        Format::Text => eprintln!("{text}"),
    }
    exit
}
